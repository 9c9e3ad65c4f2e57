//! Delivers the messages of one destination, in order.

mod landing;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, Stream};
use tokio::sync::Notify;
use tokio::time::timeout_at;
use tower_service::Service;

use super::flight::{self, Done, End, Flight, Started};
use super::meanwhile::{hear, meanwhile};
use super::order::Order;
use super::shared::Shared;
use super::store::Message;
use super::unwind::unwind;
use super::{Outcome, Ticket};
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
    Req: Send + 'static,
{
    outbox: Arc<Shared<Req>>,
    service: Arc<service::Shared<S, P>>,
    destination: Destination,
    news: Arc<Notify>,
    /// For first attempts.
    ready: Option<S>,
    /// Were read, and not started yet.
    batch: VecDeque<(Ticket, Result<Message<Req>, BoxError>)>,
    flights: FuturesUnordered<Flight<S, P, R, Req>>,
    order: Option<Arc<Order>>,
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
        let order = Order::new(&service.table, &destination);
        Self {
            ready: None,
            outbox,
            service,
            destination,
            news: line.unwrap_or_default(),
            batch: VecDeque::new(),
            flights: FuturesUnordered::new(),
            order,
            landed: VecDeque::new(),
            spare: None,
            remove: Vec::new(),
        }
    }

    /// Works until nothing is left. A panic of a store, or of what is made for all messages, is
    /// nobody's end.
    pub(super) async fn work(mut self) {
        while AssertUnwindSafe(self.run()).catch_unwind().await.is_err() {
            self.ready = None;
            self.batch.clear();
            if let Some(line) = self.outbox.book().lines.get_mut(&self.destination) {
                line.rewind();
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn run(&mut self) {
        loop {
            let more = self.start_all().await;
            self.settle();
            if self.outbox.stopped.load(Ordering::Acquire) || (!more && self.ends()) {
                break;
            }
            self.wait().await;
        }
    }

    /// Starts what can be. Whether there may be more.
    async fn start_all(&mut self) -> bool {
        while self.flights.len() < WINDOW && !self.outbox.stopped.load(Ordering::Acquire) {
            // Who starts now may not go past those that failed and have not heard of it.
            hear(&mut self.flights, &mut self.landed).await;
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
                if let Some(line) = self.outbox.book().lines.get_mut(&self.destination) {
                    line.current = None;
                }
                break;
            }
        }
        if self.flights.len() >= WINDOW {
            self.give_way();
        }
        true
    }

    /// The next message.
    async fn next(&mut self) -> Option<(Ticket, Result<Message<Req>, BoxError>)> {
        loop {
            {
                let mut book = self.outbox.book();
                let line = book.lines.get_mut(&self.destination)?;
                if let Some(late) = line.late.take() {
                    // From there on again: `begin` knows what was started.
                    self.batch.retain(|(ticket, _)| *ticket < late);
                    line.read = late.get().checked_sub(1).map(Ticket::new);
                }
                if !self.batch.is_empty() {
                    return self.batch.pop_front();
                }
            }
            // What was delivered is removed before more is read: so much less is delivered twice by a
            // process that is killed.
            while let Some(done) = self.landed.pop_front() {
                self.land(done).await;
            }
            self.settle();
            let after = {
                let mut book = self.outbox.book();
                let line = book.lines.get_mut(&self.destination)?;
                line.gone.clear(); // what is read from here on knows of them
                line.reading = true;
                line.read
            };
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
            {
                let mut book = self.outbox.book();
                let line = book.lines.get_mut(&self.destination)?;
                line.has_read(last.or(after));
                if self.batch.is_empty() && line.late.is_none() {
                    return None;
                }
            }
            // However quick the service is, it is not alone.
            tokio::task::yield_now().await;
        }
    }

    /// The delivery of this message begins, if it still waits.
    fn begin(&self, ticket: Ticket) -> bool {
        let mut book = self.outbox.book();
        let Some(line) = book.lines.get_mut(&self.destination) else {
            return false;
        };
        let waits = line.can_begin(ticket);
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
        if id < self.outbox.first {
            // A former life took it as worth waiting for, so what looks permanent is the path's.
            table.learn(R::destination_hash(&message.request));
        }
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
                let service = self.ready.get_or_insert_with(|| self.service.fresh());
                let ready = poll_fn(|cx| {
                    Poll::Ready(service.poll_ready(cx).map_err(Into::<BoxError>::into))
                })
                .await;
                match ready {
                    Poll::Ready(Ok(())) => return self.attempt(message).await,
                    Poll::Ready(Err(error)) => {
                        self.ready = None;
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
        let mut ready = self.ready.take()?;
        let future = unwind(|| {
            let id = message.ticket.get();
            let mut call = Call::new(self.service.clone(), id, &message.request);
            if message.attempts > 0 {
                call = call.had(message.attempts, message.maybe_sent);
                let attempt = message.attempts.saturating_add(1);
                self.service.policy.prepare(&mut message.request, attempt);
            }
            let attempt = ready.call(message.request);
            self.ready = Some(ready);
            ResponseFuture::new(Some(attempt), call, ())
        });
        match future {
            Some(future) => self.fly(future, started).await,
            None => self.land(started.done(End::Panicked)).await,
        }
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
        let end = poll_fn(|cx| Poll::Ready(flight::poll(&mut boxed, cx))).await;
        match end {
            Poll::Ready(end) => {
                boxed.set(None);
                self.spare = Some(boxed);
                self.land(started.done(end)).await;
            }
            Poll::Pending => {
                let flight = Flight::new(boxed, started, self.order.clone());
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

    /// Nothing is left: the worker ends. If something came meanwhile, it goes on.
    fn ends(&self) -> bool {
        let mut book = self.outbox.book();
        let line = book.lines.get(&self.destination);
        let empty = line.is_none_or(|line| line.len == 0);
        if empty {
            book.lines.remove(&self.destination);
            drop(book);
            self.service.table.add_boxes(-1);
        }
        empty
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

impl<S, P, R, Req> Worker<S, P, R, Req>
where
    S: Service<Req>,
    Req: Send + 'static,
{
    /// Takes out of the store what is over.
    fn settle(&mut self) {
        if self.remove.is_empty() {
            return;
        }
        let remove = std::mem::take(&mut self.remove);
        self.outbox.remove(remove);
    }
}

/// Its work is done, or its runtime ends.
impl<S, P, R, Req> Drop for Worker<S, P, R, Req>
where
    S: Service<Req>,
    Req: Send + 'static,
{
    fn drop(&mut self) {
        self.flights.clear();
        unwind(|| self.settle());
        self.outbox.worker_ended();
    }
}
