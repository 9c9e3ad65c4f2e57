//! Delivers the messages of one destination, in order.

mod landing;
mod next;
mod start;

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

use super::flight::{Delivering, Done, Flight};
use super::keeper::Batch;
use super::meanwhile::hear;
use super::order::Order;
use super::run::At;
use super::shared::Shared;
use super::store::Message;
use super::unwind::unwind;
use super::{Outcome, Receipt, Ticket};
use crate::{BoxError, ConnErrorPolicy, Destination, RequestModel, service};
use next::Next;
use start::Begun;

/// How many deliveries are under way at most.
const WINDOW: usize = 32;

/// How many messages are read at once.
const BATCH: usize = 64;

/// For how long it goes on while all is answered at once, before others have their turn.
const TURN: Duration = Duration::from_micros(100);

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
    /// Where it is in its line's run.
    at: Arc<At>,
    /// For first attempts.
    ready: Option<S>,
    /// Were read, and not started yet.
    batch: Batch<Req>,
    flights: FuturesUnordered<Flight<S, P, R, Req>>,
    order: Option<Arc<Order>>,
    /// Were over while the store was read.
    landed: VecDeque<Done>,
    /// The allocation of a delivery that is over.
    spare: Option<Delivering<S, P, R, Req>>,
    /// The last delivery that began was answered at once.
    at_once: bool,
    /// Were answered one after the other, and nobody has heard of it yet.
    answered: Vec<Ticket>,
    /// To be removed from the store.
    remove: Vec<Ticket>,
    /// Others have their turn from then on, on the outbox's clock.
    turn_ends: Duration,
    /// Its line is not there any more.
    has_ended: bool,
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
            .map(|line| (line.news.clone(), line.run.at()));
        let (news, at) = line.unwrap_or_default();
        let order = Order::new(&service.table, &destination);
        Self {
            ready: None,
            outbox,
            service,
            destination,
            news,
            at,
            batch: Batch::new(),
            flights: FuturesUnordered::new(),
            order,
            landed: VecDeque::new(),
            spare: None,
            at_once: false,
            answered: Vec::with_capacity(BATCH),
            remove: Vec::with_capacity(BATCH),
            turn_ends: Duration::ZERO,
            has_ended: false,
        }
    }

    /// Works until nothing is left. A panic of a store, or of what is made for all messages, is
    /// nobody's end.
    pub(super) async fn work(mut self) {
        while AssertUnwindSafe(self.run()).catch_unwind().await.is_err() {
            self.account();
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
            if !self.flights.is_empty() {
                // Who starts now may not go past those that failed and have not heard of it.
                hear(&mut self.flights, &mut self.landed).await;
            }
            // What is over goes before more is read, so that little comes twice after a kill.
            while let Some(done) = self.landed.pop_front() {
                self.land(done).await;
            }
            let next = match self.next() {
                Next::Read => self.read().await,
                next => next,
            };
            match next {
                Next::Begins => {}
                Next::Read => continue,
                Next::Nothing => return !self.flights.is_empty(),
            }
            match poll_fn(|cx| Poll::Ready(self.begin(cx))).await {
                None | Some(Begun::UnderWay) => {}
                Some(Begun::NotYet) => break,
                Some(Begun::Over(done)) => self.land(done).await,
                Some(Begun::Unreadable(ticket)) => self.pass_over(ticket),
                Some(Begun::Old(message)) => {
                    self.over(message.ticket);
                    self.outbox.bury(message, Outcome::Expired, None);
                }
            }
        }
        if self.flights.len() >= WINDOW {
            self.give_way();
        }
        true
    }

    fn is_old(&self, message: &Message<Req>) -> bool {
        let ends = message.ends(self.outbox.settings.max_age);
        ends.is_some_and(|at| at <= self.outbox.clock())
    }

    /// Nothing is left: the worker ends. If something came meanwhile, it goes on.
    fn ends(&mut self) -> bool {
        let mut book = self.outbox.book();
        let line = book.lines.get(&self.destination);
        let empty = line.is_none_or(|line| line.len == 0);
        if empty {
            book.end(&self.destination);
            drop(book);
            self.has_ended = true;
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
    /// Those that were answered one after the other leave the outbox.
    fn account(&mut self) {
        let Some(last) = self.answered.last() else {
            return;
        };
        let mut book = self.outbox.book();
        book.answered(&self.destination, *last);
        unwind(|| self.outbox.let_in(book));
        for ticket in self.answered.drain(..) {
            let outcome = Outcome::Delivered;
            self.outbox.tell(Receipt { ticket, outcome });
            self.remove.push(ticket);
        }
        if self.remove.len() >= BATCH {
            self.settle();
        }
    }

    /// Takes out of the store what is over.
    fn settle(&mut self) {
        if self.remove.is_empty() {
            return;
        }
        self.outbox.remove(&self.destination, &self.remove);
        self.remove.clear();
    }
}

/// Its work is done, or its runtime ends.
impl<S, P, R, Req> Drop for Worker<S, P, R, Req>
where
    S: Service<Req>,
    Req: Send + 'static,
{
    fn drop(&mut self) {
        unwind(|| self.flights.clear());
        unwind(|| {
            self.account();
            self.land_answered();
            self.settle();
        });
        let left = (!self.has_ended).then_some(&self.destination);
        self.outbox.worker_ended(left);
    }
}
