//! Which message is the next one.

use tower_service::Service;

use super::super::Ticket;
use super::super::meanwhile::meanwhile;
use super::{AGAIN, BATCH, TURN, Worker};
use crate::{BoxError, ConnErrorPolicy, RequestModel};

pub(super) enum Next {
    /// The delivery of the first of those that were read begins.
    Begins,
    /// More has to be read.
    Read,
    /// There are no more.
    Nothing,
}

impl<S, P, R, Req> Worker<S, P, R, Req>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    Req: Send + 'static,
{
    /// The next of those that were read, and still wait.
    pub(super) fn next(&mut self) -> Next {
        let mut over; // the user's, so not dropped under the lock
        loop {
            let mut book = self.outbox.book();
            let Some(line) = book.lines.get_mut(&self.destination) else {
                return Next::Nothing;
            };
            if let Some(late) = line.late.take() {
                // From there on again: what was started is known.
                let at = self.batch.partition_point(|(ticket, _)| *ticket < late);
                let again = self.batch.split_off(at);
                line.read = late.get().checked_sub(1).map(Ticket::new);
                drop(book);
                drop(again);
                continue;
            }
            match self.batch.front() {
                Some((ticket, _)) if line.can_begin(*ticket) => {
                    let all = self.at_once && line.can_all_begin(*ticket);
                    let run = self.batch.iter().take(if all { usize::MAX } else { 1 });
                    line.run.begin(run.map(|(ticket, message)| {
                        (*ticket, message.as_ref().map_or(0, |message| message.size))
                    }));
                    if line.run.goes_on() {
                        book.goes_on(&self.destination);
                    }
                    return Next::Begins;
                }
                Some(_) => over = self.batch.pop_front(),
                None => return Next::Read,
            }
            drop(book);
            drop(over);
        }
    }

    /// Reads more.
    pub(super) async fn read(&mut self) -> Next {
        // What was delivered is removed before more is read: so much less is delivered twice by a
        // process that is killed.
        while let Some(done) = self.landed.pop_front() {
            self.land(done).await;
        }
        self.settle();
        let after = {
            let mut book = self.outbox.book();
            let Some(line) = book.lines.get_mut(&self.destination) else {
                return Next::Nothing;
            };
            line.reads();
            line.read
        };
        let Some(copy) = self.outbox.copy() else {
            return Next::Nothing;
        };
        let keeper = &self.outbox.keeper;
        let buffer = std::mem::take(&mut self.batch);
        let read = keeper.read(&self.destination, after, BATCH, copy, buffer);
        match meanwhile(&mut self.flights, &mut self.landed, read).await {
            // There is nothing in it.
            Ok(found) => self.batch = found,
            Err(_) => {
                let again = tokio::time::sleep(AGAIN);
                meanwhile(&mut self.flights, &mut self.landed, again).await;
                self.news.notify_one();
            }
        }
        let last = self.batch.back().map(|(ticket, _)| *ticket);
        {
            let mut book = self.outbox.book();
            let Some(line) = book.lines.get_mut(&self.destination) else {
                return Next::Nothing;
            };
            line.has_read(last.or(after));
            if self.batch.is_empty() && line.late.is_none() {
                return Next::Nothing;
            }
        }
        // However quick the service is, it is not alone. But each turn wakes a thread, which may be the one
        // that goes on, with nothing of this in its caches.
        if self.outbox.clock() >= self.turn_ends {
            tokio::task::yield_now().await;
            self.turn_ends = self.outbox.clock() + TURN;
        }
        self.next()
    }
}
