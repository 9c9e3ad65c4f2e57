use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot::error::RecvError;

use super::keeper::{Answer, GONE, Refusal};
use super::put::Put;
use super::shared::Shared;
use super::store::Message;
use super::{Outbox, Outcome, Receipt, Ticket};
use crate::mode::{Mode, sealed};
use crate::{BoxError, Destination, Error, Reason, RequestModel, Sent};

/// A request that can't be answered now.
#[doc(hidden)]
pub struct Undelivered<Req> {
    pub(crate) ticket: Ticket,
    pub(crate) size: usize,
    pub(crate) max_age: Option<Duration>,
    pub(crate) destination: Destination,
    pub(crate) request: Req,
    pub(crate) error: Error,
}

/// What the future of a call has that may be deferred.
pub struct Deferral<Req: Send + 'static> {
    outbox: Arc<Shared<Req>>,
    step: Step<Req>,
    /// What is put in if the call's future is dropped.
    guard: Option<Box<Message<Req>>>,
    /// It may be done twice.
    idempotent: bool,
}

/// Nothing in it is pinned.
impl<Req: Send + 'static> Unpin for Deferral<Req> {}

enum Step<Req> {
    Attempting,
    /// Its message waits for room, or has been let in.
    Room(Answer<Req>, Ticket, Error),
    Storing(Answer<Req>, Ticket, Error),
    Over(Error),
    Told,
}

impl<Req> sealed::Sealed for Outbox<Req> {}

impl<Req: Send + 'static> Mode<Req> for Outbox<Req> {
    const DEFERS: bool = true;
    type State = Deferral<Req>;

    fn begin<R: RequestModel<Req>>(&self, id: u64, attempt: Option<&Req>) -> Deferral<Req> {
        self.shared.gives(id);
        self.shared.adopt();
        let mut state = Deferral::new(self);
        if let Some(request) = attempt {
            state.guard::<R>(id, request);
        }
        state
    }

    fn unsent(state: &mut Deferral<Req>) {
        state.set_maybe_sent(false);
    }

    fn replays(state: &mut Deferral<Req>, attempt: u32) {
        if let Some(guard) = &mut state.guard {
            guard.attempts = attempt;
        }
    }

    fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    fn has_some_for(&self, destination: &Destination) -> bool {
        let book = self.shared.book();
        // Its worker may not have ended yet.
        book.lines
            .get(destination)
            .is_some_and(|line| line.has_some())
    }

    fn answered(state: &mut Deferral<Req>) {
        state.guard = None;
    }

    fn defer(state: &mut Deferral<Req>, undelivered: Undelivered<Req>) {
        state.defer(undelivered);
    }

    fn poll_deferred(
        state: &mut Deferral<Req>,
        over: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Error>> {
        match state.step {
            Step::Attempting => {
                // It may make another attempt.
                state.set_maybe_sent(true);
                None
            }
            _ => Some(state.poll(over, cx)),
        }
    }
}

impl<Req: Send + 'static> Deferral<Req> {
    pub(crate) fn new(outbox: &Outbox<Req>) -> Self {
        Self {
            outbox: outbox.shared.clone(),
            step: Step::Attempting,
            guard: None,
            idempotent: false,
        }
    }

    /// An attempt begins. Should the caller lose interest, the outbox may not.
    #[inline]
    pub(crate) fn guard<R: RequestModel<Req>>(&mut self, id: u64, request: &Req) {
        if self.outbox.settings.survive_cancel {
            self.guard = R::try_clone(request).map(|copy| {
                Box::new(Message {
                    ticket: Ticket::new(id),
                    destination: R::destination(request),
                    request: copy,
                    size: R::size_hint(request),
                    since: self.outbox.clock(),
                    attempts: 1,
                    maybe_sent: true,
                    max_age: R::max_age(request),
                })
            });
            self.idempotent = R::is_idempotent(request);
        }
    }

    fn set_maybe_sent(&mut self, maybe_sent: bool) {
        if let Some(guard) = &mut self.guard {
            guard.maybe_sent = maybe_sent;
        }
    }

    pub(crate) fn defer(&mut self, undelivered: Undelivered<Req>) {
        self.guard = None;
        let Undelivered {
            ticket,
            size,
            max_age,
            destination,
            request,
            error,
        } = undelivered;
        let message = Message {
            ticket,
            destination,
            request,
            size,
            since: self.outbox.clock(),
            attempts: error.attempts(),
            maybe_sent: error.sent() == Sent::Maybe,
            max_age,
        };
        self.put(message, error);
    }

    fn put(&mut self, message: Message<Req>, error: Error) {
        let ticket = message.ticket;
        self.step = match self.outbox.put(message, true) {
            Put::Stored => Step::Over(error.deferred(ticket)),
            Put::Storing(stored) => Step::Storing(stored, ticket, error),
            Put::Waits(answer) => Step::Room(answer, ticket, error),
            Put::NotStored(why) => Step::Over(error.not_stored(why)),
            Put::Full(message) => self.refused(message, error.because(Reason::QueueFull)),
            Put::Closed(message) => self.refused(message, error.because(Reason::Closed)),
        };
    }

    /// Until the caller has heard of it, he may lose interest.
    fn refused(&mut self, message: Message<Req>, error: Error) -> Step<Req> {
        if self.outbox.settings.survive_cancel {
            self.guard = Some(Box::new(message));
        }
        Step::Over(error)
    }

    fn poll(
        &mut self,
        over: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
        cx: &mut Context<'_>,
    ) -> Poll<Error> {
        loop {
            match std::mem::replace(&mut self.step, Step::Told) {
                Step::Over(error) => {
                    self.guard = None;
                    return Poll::Ready(error);
                }
                Step::Storing(mut answer, ticket, error) => {
                    let Poll::Ready(answer) = Pin::new(&mut answer).poll(cx) else {
                        self.step = Step::Storing(answer, ticket, error);
                        return Poll::Pending;
                    };
                    return Poll::Ready(told(answer, ticket, error));
                }
                Step::Room(mut answer, ticket, error) => {
                    if let Poll::Ready(answer) = Pin::new(&mut answer).poll(cx) {
                        return Poll::Ready(told(answer, ticket, error));
                    }
                    if over(cx).is_pending() {
                        self.step = Step::Room(answer, ticket, error);
                        return Poll::Pending;
                    }
                    if self.outbox.take_back(ticket).is_some() {
                        return Poll::Ready(error.because(Reason::QueueFull));
                    }
                    self.step = Step::Storing(answer, ticket, error);
                }
                Step::Attempting | Step::Told => panic!("polled after it was ready"),
            }
        }
    }
}

/// What became of the message.
fn told<Req>(
    answer: Result<Result<(), Refusal<Req>>, RecvError>,
    ticket: Ticket,
    error: Error,
) -> Error {
    match answer {
        Ok(Ok(())) => error.deferred(ticket),
        Ok(Err(Refusal::Full(_))) => error.because(Reason::QueueFull),
        Ok(Err(Refusal::Closed(_))) => error.because(Reason::Closed),
        Ok(Err(Refusal::NotStored(why))) => error.not_stored(why),
        Err(_) => error.not_stored(BoxError::from(GONE).into()),
    }
}

impl<Req: Send + 'static> Deferral<Req> {
    /// Does not wait for what the store says. Who says that it can't finds nobody, or was heard here.
    fn leave(&self, mut answer: Answer<Req>, ticket: Ticket) {
        answer.close();
        if let Ok(Err(refusal)) = answer.try_recv() {
            self.outbox.nobody_hears(ticket, refusal);
        }
    }

    /// It may not be done twice, or not be tried once more.
    fn may_not_go(&self, message: &Message<Req>) -> bool {
        let most = self.outbox.table().map(|table| table.config().max_attempts);
        let spent = message.attempts > 0 && most.is_some_and(|most| message.attempts >= most);
        spent || (message.maybe_sent && !self.idempotent)
    }

    fn was_not_stored(&self, ticket: Ticket) {
        let outcome = Outcome::NotStored;
        self.outbox.tell(Receipt { ticket, outcome });
    }
}

impl<Req: Send + 'static> Drop for Deferral<Req> {
    fn drop(&mut self) {
        let survives = self.outbox.settings.survive_cancel;
        let message = match std::mem::replace(&mut self.step, Step::Told) {
            Step::Room(answer, ticket, _) => match self.outbox.take_back(ticket) {
                Some(message) => survives.then_some(message),
                None => return self.leave(answer, ticket),
            },
            Step::Storing(answer, ticket, _) => return self.leave(answer, ticket),
            _ => self.guard.take().map(|message| *message),
        };
        let Some(message) = message else {
            return;
        };
        if self.may_not_go(&message) {
            return self.outbox.bury_uncounted(message, Outcome::Refused);
        }
        let ticket = message.ticket;
        match self.outbox.put(message, false) {
            Put::Stored => {}
            Put::Storing(answer) | Put::Waits(answer) => self.leave(answer, ticket),
            Put::NotStored(_) => self.was_not_stored(ticket),
            Put::Full(message) | Put::Closed(message) => {
                self.outbox.bury_uncounted(message, Outcome::Dropped);
            }
        }
    }
}
