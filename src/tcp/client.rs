use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tower_service::Service;

use super::error::{Error, ErrorKind};
use super::permits::Permits;
use super::queue::{Receiver, Sender, queue};
use super::slot::{Answer, Slot, slot};
use crate::Sent;

/// A handle to one connection: requests go out in the order of the calls, answers come back in the
/// same order.
///
/// Clones share the connection. It ends when the last of them is dropped and nobody waits for an
/// answer any more, or when the connection breaks. From then on [`poll_ready`](Service::poll_ready)
/// fails, for good: make a new connection, or let [`Reconnect`](crate::Reconnect) do it.
pub struct Client<Req, Res> {
    /// One pointer, because `Reconnect` clones a handle for each call.
    shared: Arc<Shared<Req, Res>>,
    /// This handle has a permit.
    ready: bool,
    /// The place of this handle among those who wait for one.
    place: Option<u64>,
}

/// What the handles share. The task does not hold it, so that it sees the last of them go.
struct Shared<Req, Res> {
    jobs: Sender<Job<Req, Res>>,
    status: Arc<Status>,
}

/// What the handles and the task of a connection share.
pub(super) struct Status {
    /// One permit for each request, from the call to the answer, even when the caller has gone: what
    /// counts is what the peer still has to answer. Nobody owns one; the task gives them back, many
    /// at a time. Closed when the connection ends.
    pub(super) permits: Permits,
    ended: OnceLock<Error>,
}

/// More than any peer could be sent, and far from overflow.
const MOST_IN_FLIGHT: usize = usize::MAX / 2;

/// A request on its way to the task.
pub(super) struct Job<Req, Res> {
    pub(super) request: Req,
    pub(super) slot: Slot<Res>,
}

impl<Req: Send + 'static, Res> Client<Req, Res> {
    pub(super) fn new(max_in_flight: usize) -> (Self, Arc<Status>, Receiver<Job<Req, Res>>) {
        let status = Arc::new(Status {
            permits: Permits::new(max_in_flight.clamp(1, MOST_IN_FLIGHT)),
            ended: OnceLock::new(),
        });
        let (jobs, queue) = queue();
        let shared = Shared {
            jobs,
            status: Arc::clone(&status),
        };
        let client = Self {
            shared: Arc::new(shared),
            ready: false,
            place: None,
        };
        (client, status, queue)
    }

    #[inline(always)]
    fn submit(&mut self, request: Req) -> Result<Answer<Res>, Error> {
        let Shared { jobs, status } = &*self.shared;
        // If it was called without being ready but there is room, no harm is done.
        if !std::mem::take(&mut self.ready) && !status.permits.try_take() {
            let ended = status.ended.get().cloned();
            let error = ended.unwrap_or_else(|| Error::unsent(ErrorKind::NotReady, None));
            return Err(error.handing_back(request));
        }
        let (slot, answered) = slot();
        match jobs.push(Job { request, slot }) {
            Ok(()) => Ok(answered),
            Err(job) => Err(status.error().handing_back(job.request)),
        }
    }
}

impl<Req, Res> Client<Req, Res> {
    #[cold]
    #[inline(never)]
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Shared { jobs, status } = &*self.shared;
        self.ready = ready!(status.permits.poll_take(&mut self.place, cx));
        if status.permits.is_unclaimed() {
            jobs.nudge(); // the next one's turn is watched over by the task
        }
        Poll::Ready(match self.ready {
            true => Ok(()),
            false => Err(status.error()),
        })
    }

    /// Gives back a permit, and a place.
    #[cold]
    #[inline(never)]
    fn give_up(&mut self) {
        let Shared { jobs, status } = &*self.shared;
        if std::mem::take(&mut self.ready) {
            status.permits.give_back(1);
        }
        if let Some(place) = self.place.take() {
            status.permits.leave(place);
        }
        if status.permits.is_unclaimed() {
            jobs.nudge();
        }
    }
}

impl<Req: Send + 'static, Res> Service<Req> for Client<Req, Res> {
    type Response = Res;
    type Error = Error;
    type Future = ResponseFuture<Res>;

    /// Waits while `max_in_flight` requests are unanswered. Fails when the connection has ended.
    #[inline(always)]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let status = &self.shared.status;
        if status.ended.get().is_some() {
            self.ready = false;
            return Poll::Ready(Err(status.error()));
        }
        if self.ready {
            return Poll::Ready(Ok(()));
        }
        self.ready = self.place.is_none() && status.permits.try_take();
        match self.ready {
            true => Poll::Ready(Ok(())),
            false => self.poll_room(cx),
        }
    }

    /// Hands the request to the connection's task.
    ///
    /// Without a `poll_ready` before it the call fails with [`ErrorKind::NotReady`] if there is no
    /// room; it does not panic.
    #[inline(always)]
    fn call(&mut self, request: Req) -> ResponseFuture<Res> {
        ResponseFuture(match self.submit(request) {
            Ok(answered) => State::Waiting(answered),
            Err(error) => State::Failed(Some(error)),
        })
    }
}

impl<Req, Res> Clone for Client<Req, Res> {
    /// Readiness is not cloned.
    #[inline]
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            ready: false,
            place: None,
        }
    }
}

impl<Req, Res> Drop for Client<Req, Res> {
    #[inline]
    fn drop(&mut self) {
        if self.ready || self.place.is_some() {
            self.give_up();
        }
    }
}

impl<Req, Res> fmt::Debug for Client<Req, Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("ended", &self.shared.status.ended.get())
            .finish_non_exhaustive()
    }
}

impl Status {
    /// From now on nobody gets ready. The first cause stays.
    pub(super) fn end(&self, cause: &Error) {
        let _ = self.ended.set(cause.with_sent(Sent::No));
    }

    /// Those who wait for readiness hear of the end.
    pub(super) fn wake_waiters(&self) {
        self.permits.close();
    }

    fn error(&self) -> Error {
        match self.ended.get() {
            Some(error) => error.clone(),
            None => Error::unsent(ErrorKind::Gone, None),
        }
    }
}

/// The answer of a [`Client`].
///
/// Dropping it does not disturb the connection: a request that has not been encoded yet is not sent
/// at all; otherwise its answer is read and thrown away.
#[derive(Debug)]
pub struct ResponseFuture<Res>(State<Res>);

#[derive(Debug)]
enum State<Res> {
    Waiting(Answer<Res>),
    Failed(Option<Error>),
}

impl<Res> Unpin for ResponseFuture<Res> {}

impl<Res> Future for ResponseFuture<Res> {
    type Output = Result<Res, Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let gone = || Error::unsent(ErrorKind::Gone, None);
        Poll::Ready(match &mut self.0 {
            State::Waiting(answered) => match ready!(answered.poll(cx)) {
                Some(result) => result,
                // The task was torn away together with the knowledge of what it had written.
                None => Err(gone().with_sent(Sent::Maybe)),
            },
            State::Failed(error) => Err(error.take().unwrap_or_else(gone)),
        })
    }
}
