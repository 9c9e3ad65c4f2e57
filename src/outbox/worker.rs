//! Delivers the messages of one destination, in order.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, Stream};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use super::flight::{Done, Flight, Started};
use super::meanwhile::meanwhile;
use super::shared::Shared;
use super::store::Message;
use super::{Outcome, Receipt, Ticket};
use crate::future::{Call, Start};
use crate::link::Hold;
use crate::mode::Delivery;
use crate::{BoxError, ConnErrorPolicy, Destination, RequestModel, ResponseFuture, service};

/// How many deliveries are under way at most.
const WINDOW: usize = 32;

/// How many messages are read at once.
const BATCH: usize = 64;

/// When a store that can't be read is tried again.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) struct Worker<S, P, R, Req>
where
    S: Service<Req>,
{
    outbox: Arc<Shared<Req>>,
    service: Arc<service::Shared<S, P>>,
    destination: Destination,
    news: Arc<Notify>,
    /// For first attempts.
    ready: S,
    /// Were read, and not started yet.
    batch: VecDeque<(Ticket, Result<Message<Req>, BoxError>)>,
    flights: FuturesUnordered<Flight<S, P, R, Req>>,
    /// Were over while the store was read.
    landed: VecDeque<Done>,
    /// The allocation of a delivery that is over.
    #[allow(clippy::type_complexity)]
    spare: Option<Pin<Box<Option<ResponseFuture<S, Req, P, R, Delivery>>>>>,
    /// To be removed from the store.
    remove: Vec<(Destination, Ticket)>,
}

impl<S, P, R, Req> Worker<S, P, R, Req>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    Req: Send + 'static,
{
    pub(super) fn new(
        outbox: Arc<Shared<Req>>,
        service: Arc<service::Shared<S, P>>,
        destination: Destination,
    ) -> Self {
        let line = outbox
            .book()
            .lines
            .get(&destination)
            .map(|line| line.news.clone());
        Self {
            ready: service.fresh(),
            outbox,
            service,
            destination,
            news: line.unwrap_or_default(),
            batch: VecDeque::new(),
            flights: FuturesUnordered::new(),
            landed: VecDeque::new(),
            spare: None,
            remove: Vec::new(),
        }
    }

    /// Works until nothing is left.
    pub(super) async fn run(mut self) {
        loop {
            let more = self.start_all().await;
            self.settle();
            if self.outbox.stopped.load(Ordering::Acquire) || (!more && self.ends()) {
                break;
            }
            self.wait().await;
        }
        self.flights.clear();
        self.outbox.worker_ended();
    }

    /// Starts what can be started. Whether there may be more.
    async fn start_all(&mut self) -> bool {
        while self.flights.len() < WINDOW && !self.outbox.stopped.load(Ordering::Acquire) {
            // What is over goes before more is read, so that little comes twice after a kill.
            while let Some(done) = self.landed.pop_front() {
                self.land(done).await;
            }
            let Some((ticket, message)) = self.next().await else {
                return !self.flights.is_empty();
            };
            if !self.begin(ticket) {
                continue;
            }
            let message = match message {
                Ok(message) => message,
                Err(_) => {
                    self.lose(ticket);
                    continue;
                }
            };
            if self.is_old(&message) {
                self.over(ticket);
                self.outbox.bury(message, Outcome::Expired, None);
                continue;
            }
            if let Some(message) = self.start(message).await {
                // Not before the one before it has called the service.
                self.batch.push_front((ticket, Ok(message)));
                break;
            }
        }
        true
    }

    /// The next message.
    async fn next(&mut self) -> Option<(Ticket, Result<Message<Req>, BoxError>)> {
        let after = {
            let mut book = self.outbox.book();
            let line = book.lines.get_mut(&self.destination)?;
            if let Some(late) = line.late.take() {
                // From there on again: `begin` knows what was started.
                self.batch.clear();
                line.read = late.get().checked_sub(1).map(Ticket::new);
            }
            line.read
        };
        if self.batch.is_empty() {
            self.settle();
            if let Some(line) = self.outbox.book().lines.get_mut(&self.destination) {
                line.gone.clear(); // what is read from here on knows of them
            }
            let copy = self.outbox.copy()?;
            let keeper = &self.outbox.keeper;
            let read = keeper.read(&self.destination, after, BATCH, copy);
            match meanwhile(&mut self.flights, &mut self.landed, read).await {
                Ok(found) => self.batch.extend(found),
                Err(_) => {
                    let again = tokio::time::sleep(AGAIN);
                    meanwhile(&mut self.flights, &mut self.landed, again).await;
                    self.news.notify_one();
                }
            }
            let last = self.batch.back().map(|(ticket, _)| *ticket);
            let mut book = self.outbox.book();
            let line = book.lines.get_mut(&self.destination)?;
            line.read = last.or(after);
        }
        self.batch.pop_front()
    }

    /// The delivery of this message begins, if it still waits.
    fn begin(&self, ticket: Ticket) -> bool {
        let mut book = self.outbox.book();
        let Some(line) = book.lines.get_mut(&self.destination) else {
            return false;
        };
        let waits = line.waits(ticket) && !line.slots.contains_key(&ticket);
        line.current = waits.then_some(ticket);
        waits
    }

    fn is_old(&self, message: &Message<Req>) -> bool {
        let limit = self.outbox.settings.max_age;
        limit.is_some_and(|limit| self.outbox.clock().saturating_sub(message.since) >= limit)
    }

    /// Starts a delivery. Gives the message back if it can't be started yet.
    async fn start(&mut self, message: Message<Req>) -> Option<Message<Req>> {
        let Message { ticket, size, .. } = message;
        let table = self.service.table.clone();
        let id = ticket.get();
        let hold = match table.are_shut() {
            false => Hold::Open,
            true => table.hold(&self.destination, id, size, 0, None, true),
        };
        let start = match hold {
            Hold::Held(place) => Start::Held(place),
            Hold::Room(_) | Hold::Full => Start::Now,
            Hold::Open => {
                if self.waits_for_call() {
                    return Some(message);
                }
                let ready = poll_fn(|cx| {
                    Poll::Ready(self.ready.poll_ready(cx).map_err(Into::<BoxError>::into))
                })
                .await;
                match ready {
                    Poll::Ready(Ok(())) => return self.attempt(message).await,
                    Poll::Ready(Err(error)) => {
                        self.ready = self.service.fresh();
                        Start::Failed(error)
                    }
                    Poll::Pending => Start::Now,
                }
            }
        };
        let started = Started::from(&message);
        let call = Call::begun(self.service.clone(), id, message.request, start);
        let call = call.had(message.attempts, message.maybe_sent);
        self.fly(ResponseFuture::new(None, call, ()), started).await;
        None
    }

    /// Makes an attempt at once.
    async fn attempt(&mut self, mut message: Message<Req>) -> Option<Message<Req>> {
        let started = Started::from(&message);
        let mut call = Call::new(self.service.clone(), message.ticket.get(), &message.request);
        if message.attempts > 0 {
            call = call.had(message.attempts, message.maybe_sent);
            let attempt = message.attempts.saturating_add(1);
            self.service.policy.prepare(&mut message.request, attempt);
        }
        let attempt = self.ready.call(message.request);
        let future = ResponseFuture::new(Some(attempt), call, ());
        self.fly(future, started).await;
        None
    }

    async fn fly(&mut self, future: ResponseFuture<S, Req, P, R, Delivery>, started: Started) {
        let mut boxed = match self.spare.take() {
            Some(mut spare) => {
                spare.set(Some(future));
                spare
            }
            None => Box::pin(Some(future)),
        };
        let answer = poll_fn(|cx| {
            Poll::Ready(match boxed.as_mut().as_pin_mut() {
                Some(future) => future.poll(cx).map_ok(drop),
                None => Poll::Pending,
            })
        })
        .await;
        match answer {
            Poll::Ready(answer) => {
                boxed.set(None);
                self.spare = Some(boxed);
                self.land(started.done(answer)).await;
            }
            Poll::Pending => {
                let flight = Flight::new(boxed, started);
                let mut book = self.outbox.book();
                if let Some(line) = book.lines.get_mut(&self.destination) {
                    line.slots.insert(flight.ticket(), flight.slot());
                    line.current = None;
                }
                drop(book);
                self.flights.push(flight);
            }
        }
    }

    /// A delivery is over.
    async fn land(&mut self, done: Done) {
        let Done {
            ticket,
            size,
            outcome,
        } = done;
        match outcome {
            // It was taken, and counted where that was done.
            None => {}
            Some(Ok(())) => {
                self.over(ticket);
                let outcome = Outcome::Delivered;
                let receipt = Receipt { ticket, outcome };
                self.outbox.left(&self.destination, size, receipt);
            }
            Some(Err(error)) => {
                let found = self.read_again(ticket).await;
                self.over(ticket);
                match found {
                    Some(message) => self.outbox.bury(message, Outcome::Refused, Some(error)),
                    None => {
                        let outcome = Outcome::Refused;
                        let receipt = Receipt { ticket, outcome };
                        self.outbox.left(&self.destination, size, receipt);
                    }
                }
            }
        }
    }

    async fn read_again(&mut self, ticket: Ticket) -> Option<Message<Req>> {
        let before = ticket.get().checked_sub(1).map(Ticket::new);
        let copy = self.outbox.copy()?;
        let keeper = &self.outbox.keeper;
        let read = keeper.read(&self.destination, before, 1, copy);
        let found = meanwhile(&mut self.flights, &mut self.landed, read).await;
        let (found, message) = found.ok()?.into_iter().next()?;
        message.ok().filter(|_| found == ticket)
    }

    /// It can't be read.
    fn lose(&mut self, ticket: Ticket) {
        self.over(ticket);
        let outcome = Outcome::Unreadable;
        self.outbox
            .left(&self.destination, 0, Receipt { ticket, outcome });
    }

    /// Is not there any more.
    fn over(&mut self, ticket: Ticket) {
        let mut book = self.outbox.book();
        if let Some(line) = book.lines.get_mut(&self.destination) {
            line.slots.remove(&ticket);
            line.current = None;
            line.gone.insert(ticket);
        }
        drop(book);
        self.remove.push((self.destination.clone(), ticket));
        if self.remove.len() >= BATCH {
            self.settle();
        }
    }

    /// Takes out of the store what is over.
    fn settle(&mut self) {
        if self.remove.is_empty() {
            return;
        }
        let remove = std::mem::take(&mut self.remove);
        self.outbox.keeper.remove(remove, self.outbox.clock());
    }

    /// Nothing is left: the worker ends. If something came meanwhile, it goes on.
    fn ends(&self) -> bool {
        let mut book = self.outbox.book();
        let line = book.lines.get(&self.destination);
        let empty = line.is_none_or(|line| line.len == 0);
        if empty {
            if let Some(line) = book.lines.remove(&self.destination) {
                // The sizes of those that could not be read.
                book.bytes = book.bytes.saturating_sub(line.bytes);
            }
            drop(book);
            self.service.table.add_boxes(-1);
        }
        empty
    }

    /// Some delivery has not called the service yet.
    fn waits_for_call(&self) -> bool {
        !self.flights.iter().all(Flight::has_called)
    }

    /// When the first delivery under way is too old.
    fn first_ends(&self) -> Option<Instant> {
        let limit = self.outbox.settings.max_age?;
        let first = self.flights.iter().map(Flight::since).min()?;
        let at = self.outbox.at(first.checked_add(limit)?)?;
        // If it is, an attempt is in flight, which may succeed.
        let now = Instant::now();
        Some(if at > now { at } else { now + AGAIN })
    }

    /// Takes back what is too old, unless an attempt is in flight.
    async fn expire(&mut self) {
        let Some(limit) = self.outbox.settings.max_age else {
            return;
        };
        let now = self.outbox.clock();
        let old = |flight: &&Flight<S, P, R, Req>| now.saturating_sub(flight.since()) >= limit;
        let old = self.flights.iter().filter(old);
        let taken: Vec<_> = old
            .filter(|flight| flight.slot().take())
            .map(Flight::ticket)
            .collect();
        for ticket in taken {
            let message = self.read_again(ticket).await;
            self.over(ticket);
            match message {
                Some(message) => self.outbox.bury(message, Outcome::Expired, None),
                None => self.lose(ticket),
            }
        }
    }

    /// Waits for something to do.
    async fn wait(&mut self) {
        if let Some(done) = self.landed.pop_front() {
            return self.land(done).await;
        }
        let oldest = self.first_ends();
        let waiting = self.waits_for_call();
        let news = self.news.clone();
        let mut news = std::pin::pin!(news.notified());
        let flights = &mut self.flights;
        let next = poll_fn(|cx: &mut Context<'_>| {
            if news.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            match Pin::new(&mut *flights).poll_next(cx) {
                Poll::Ready(Some(done)) => Poll::Ready(Some(done)),
                // It has called the service, so that the next can start.
                _ if waiting && flights.iter().all(Flight::has_called) => Poll::Ready(None),
                _ => Poll::Pending,
            }
        });
        let done = match oldest {
            None => next.await,
            Some(at) => match timeout_at(at, next).await {
                Ok(done) => done,
                Err(_) => return self.expire().await,
            },
        };
        if let Some(done) = done {
            self.land(done).await;
        }
    }
}
