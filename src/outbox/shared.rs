use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;

use super::book::{Book, Lines, Waiting};
use super::keeper::{Batch, Keeper, Refusal, Removal};
use super::oldest::Oldest;
use super::reserved::Reserved;
use super::store::{Message, Store};
use super::unwind::unwind;
use super::{DeadLetter, OutboxError, Outcome, Receipt, Ticket};
use crate::link::Table;
use crate::{Destination, Error, Limits, WhenFull};

/// What all handles of an outbox share, and its workers.
pub(crate) struct Shared<Req> {
    book: Mutex<Book<Req>>,
    pub(super) keeper: Keeper<Req>,
    /// Since somebody asked for them.
    receipts: OnceLock<broadcast::Sender<Receipt>>,
    pub(super) settings: Settings,
    /// The number of the first call.
    pub(super) first: u64,
    pub(super) reserved: Reserved,
    epoch: Instant,
    former: Duration,
    closed: AtomicBool,
    /// Some line may have lost its worker, with a runtime.
    deserted: AtomicBool,
    /// It is closed, and the time is over.
    pub(super) stopped: AtomicBool,
    /// It has become empty, or a worker has ended.
    pub(super) changed: Notify,
    /// There is a dead letter.
    died: Notify,
    /// Held by who takes out what is left. He ends the store, which another one may still read. What he
    /// has taken and not handed out, since he left meanwhile, is the next one's.
    taken: tokio::sync::Mutex<Vec<Message<Req>>>,
    attached: OnceLock<Attached<Req>>,
}

#[derive(Clone)]
pub(super) struct Settings {
    pub(super) limits: Limits,
    pub(super) when_full: WhenFull,
    pub(super) max_age: Option<Duration>,
    pub(super) survive_cancel: bool,
}

/// The layered service that delivers.
pub(super) struct Attached<Req> {
    pub(super) table: Arc<Table>,
    pub(super) copy: fn(&Req) -> Option<Req>,
    pub(super) start: StartWorker<Req>,
}

pub(super) type StartWorker<Req> =
    Box<dyn Fn(Arc<Shared<Req>>, Destination, Option<&Handle>) + Send + Sync + 'static>;

const RECEIPTS: usize = 1_024;

impl<Req: Send + 'static> Shared<Req> {
    pub(super) fn open(
        mut store: Box<dyn Store<Req>>,
        settings: Settings,
    ) -> Result<Arc<Self>, OutboxError> {
        let contents = store.contents().map_err(OutboxError::of_store)?;
        let (reserved, next) = Reserved::from(contents.next);
        store.reserve(next).map_err(OutboxError::of_store)?;
        let mut book = Book::default();
        for (destination, len, bytes) in contents.destinations.into_iter().filter(|of| of.1 > 0) {
            book.len += len;
            book.bytes += bytes;
            let line = book.lines.entry(destination).or_default();
            (line.len, line.bytes) = (len, bytes);
        }
        if settings.when_full == WhenFull::DropOldest {
            book.oldest = Some(Oldest::new(book.lines.keys().cloned().collect()));
        }
        let (keeper, start) = Keeper::new(store)?;
        let shared = Arc::new(Self {
            book: Mutex::new(book),
            keeper,
            receipts: OnceLock::new(),
            settings,
            first: contents.next,
            reserved,
            epoch: Instant::now(),
            former: contents.clock,
            closed: AtomicBool::new(false),
            deserted: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            changed: Notify::new(),
            died: Notify::new(),
            taken: tokio::sync::Mutex::default(),
            attached: OnceLock::new(),
        });
        if let Some(start) = start {
            let _ = start.send(Arc::downgrade(&shared));
        }
        Ok(shared)
    }

    /// Starts a worker, which is counted already, as its line is at the table.
    pub(super) fn start_worker(self: &Arc<Self>, destination: &Destination) {
        if let Some(attached) = self.attached.get() {
            (attached.start)(self.clone(), destination.clone(), None);
            self.adopt();
        }
    }

    /// Workers whose runtime has ended are replaced by some on the present one, if there is one.
    pub(super) fn adopt(self: &Arc<Self>) {
        if !self.deserted.load(Ordering::Acquire) || self.stopped.load(Ordering::Acquire) {
            return; // it would have to look at all lines
        }
        let (Some(attached), Ok(runtime)) = (self.attached.get(), Handle::try_current()) else {
            return;
        };
        self.deserted.store(false, Ordering::Release);
        // Once: that one may be about to end, too.
        let deserted = self.book().take_deserted();
        for destination in deserted {
            (attached.start)(self.clone(), destination, Some(&runtime));
        }
    }

    /// What is over is taken out of the store. Until that is durable, the outbox is not done.
    pub(super) fn remove(&self, destination: &Destination, tickets: &[Ticket]) {
        let clock = self.clock();
        let done = unwind(|| self.keeper.remove(destination, tickets, clock));
        if done != Some(Removal::Sent) {
            self.removed(tickets.len());
        }
    }

    /// So many are out of the store.
    pub(super) fn removed(&self, number: usize) {
        let mut book = self.book();
        book.removing = book.removing.saturating_sub(number);
        self.tell_if_done(book);
    }

    /// Nothing else is to be changed. Who waits until the outbox is done hears if it is.
    pub(super) fn tell_if_done(&self, book: MutexGuard<'_, Book<Req>>) {
        let is_done = book.is_done();
        drop(book);
        if is_done {
            self.changed.notify_waiters();
        }
    }

    /// A message will not be delivered.
    pub(super) fn bury(
        self: &Arc<Self>,
        message: Message<Req>,
        outcome: Outcome,
        error: Option<Error>,
    ) {
        let Message { ticket, size, .. } = message;
        let destination = message.destination.clone();
        self.add_dead(message, outcome, error);
        let mut book = self.book();
        book.subtract(&destination, size);
        self.let_in(book);
        self.tell(Receipt { ticket, outcome });
    }

    /// A message is not counted (it has no caller any more), or will not be in a moment.
    pub(super) fn bury_uncounted(&self, message: Message<Req>, outcome: Outcome) {
        let ticket = message.ticket;
        self.add_dead(message, outcome, None);
        self.tell(Receipt { ticket, outcome });
    }

    fn add_dead(&self, message: Message<Req>, outcome: Outcome, error: Option<Error>) {
        let letter = DeadLetter {
            ticket: message.ticket,
            destination: message.destination,
            request: message.request,
            size: message.size,
            outcome,
            error,
        };
        let lost = self.book().dead.push(letter, &self.settings.limits);
        self.died.notify_one();
        unwind(|| drop(lost));
    }

    /// Waits for the next dead letter.
    pub(super) async fn next_dead(&self) -> DeadLetter<Req> {
        loop {
            let (letter, is_last) = {
                let mut book = self.book();
                (book.dead.pop(), book.dead.is_empty())
            };
            if !is_last {
                // Who waits beside this one may have been woken with it, or not.
                self.died.notify_one();
            }
            match letter {
                Some(letter) => return letter,
                None => self.died.notified().await,
            }
        }
    }

    pub(super) fn tell(&self, receipt: Receipt) {
        if let Some(receipts) = self.receipts.get() {
            let _ = receipts.send(receipt); // perhaps nobody is left who listens
        }
    }

    pub(super) fn attach(self: &Arc<Self>, attached: Attached<Req>) {
        let lines: Vec<_> = self.book().lines.keys().cloned().collect();
        let observer = attached.table.config().observer.clone();
        if self.attached.set(attached).is_err() {
            panic!("an outbox belongs to one service: this one was layered before");
        }
        self.keeper.watched_by(observer);
        self.book().workers += lines.len();
        if let Some(table) = self.table() {
            table.add_boxes(lines.len().try_into().unwrap_or(isize::MAX));
        }
        lines.iter().for_each(|line| self.start_worker(line));
    }

    /// A call has this ticket.
    #[inline]
    pub(super) fn gives(&self, ticket: u64) {
        if let Some(next) = self.reserved.given(ticket) {
            if self.keeper.reserve(next).is_some_and(|done| done.is_err()) {
                self.reserved.failed();
            }
        }
    }

    pub(super) fn copy(&self) -> Option<fn(&Req) -> Option<Req>> {
        Some(self.attached.get()?.copy)
    }

    pub(super) fn table(&self) -> Option<&Table> {
        Some(&self.attached.get()?.table)
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book<Req>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, with all that was answered so far.
    pub(super) fn counted(&self) -> MutexGuard<'_, Book<Req>> {
        let mut book = self.book();
        book.catch_up();
        book
    }

    /// For how long the outbox has been open, in all.
    pub(super) fn clock(&self) -> Duration {
        self.former + self.epoch.elapsed()
    }

    pub(super) fn at(&self, clock: Duration) -> Option<Instant> {
        self.epoch.checked_add(clock.saturating_sub(self.former))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let room = std::mem::take(&mut self.book().room);
        for (ticket, Waiting { message, ack }) in room {
            self.tell_caller(ack, ticket, Err(Refusal::Closed(Box::new(message))));
        }
    }

    /// Has all workers end.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        for line in self.book().lines.values() {
            line.run.stop();
            line.news.notify_one();
        }
    }

    /// `left` is what it was to deliver to, if not all is done.
    pub(super) fn worker_ended(&self, left: Option<&Destination>) {
        let mut book = self.book();
        book.workers -= 1;
        if let Some(line) = left.and_then(|left| book.lines.get_mut(left)) {
            line.desert();
            self.deserted.store(true, Ordering::Release);
        }
        drop(book);
        self.changed.notify_waiters();
    }

    /// Takes out all that is left, and lets go of the store.
    pub(super) async fn take_all(&self) -> Vec<Message<Req>> {
        let mut taken = self.taken.lock().await;
        if let Some(copy) = self.copy() {
            let left = self.read_all(copy).await;
            taken.extend(left);
        }
        taken.sort_by_key(|message| message.ticket);
        self.keeper.forget(&taken, self.clock());
        self.keeper.end().await;
        {
            let mut book = self.book();
            (book.len, book.bytes) = (0, 0);
            // What could not be removed or read so far never will be.
            (book.removing, book.unreadable) = (0, 0);
        }
        self.changed.notify_waiters();
        std::mem::take(&mut *taken)
    }

    async fn read_all(&self, copy: fn(&Req) -> Option<Req>) -> Vec<Message<Req>> {
        let mut taken = Taken::from(self);
        let mut all = Vec::new();
        for destination in taken.lines.keys() {
            let mut after = None;
            loop {
                let found = self.read_left(destination, after, copy).await;
                let Some((last, _)) = found.back() else {
                    break;
                };
                after = Some(*last);
                all.extend(found.into_iter().filter_map(|(_, message)| message.ok()));
            }
        }
        let lines = std::mem::take(&mut taken.lines);
        if let Some(table) = self.table() {
            table.add_boxes(-lines.len().try_into().unwrap_or(isize::MAX));
        }
        all
    }

    /// A store that fails is asked once more. What it can't read then stays in it.
    async fn read_left(
        &self,
        destination: &Destination,
        after: Option<Ticket>,
        copy: fn(&Req) -> Option<Req>,
    ) -> Batch<Req> {
        for _ in 0..2 {
            let buffer = Batch::new();
            let read = self.keeper.read(destination, after, 1_024, copy, buffer);
            if let Ok(found) = read.await {
                return found;
            }
        }
        Batch::new()
    }

    /// Waits until this holds.
    pub(super) async fn until(&self, holds: impl Fn(&Book<Req>) -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if holds(&self.book()) {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn receipts(&self) -> broadcast::Receiver<Receipt> {
        let receipts = || broadcast::Sender::new(RECEIPTS);
        self.receipts.get_or_init(receipts).subscribe()
    }
}

/// The lines of an outbox while all that is left is read. They are put back if nobody waits for that any
/// more, for the next one who does.
struct Taken<'a, Req: Send + 'static> {
    outbox: &'a Shared<Req>,
    lines: Lines,
}

impl<'a, Req: Send + 'static> From<&'a Shared<Req>> for Taken<'a, Req> {
    fn from(outbox: &'a Shared<Req>) -> Self {
        let lines = std::mem::take(&mut outbox.book().lines);
        Self { outbox, lines }
    }
}

impl<Req: Send + 'static> Drop for Taken<'_, Req> {
    fn drop(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        self.outbox.book().lines.extend(lines);
    }
}
