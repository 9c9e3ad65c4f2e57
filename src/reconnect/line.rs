use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker, ready};

use tokio::time::{Sleep, sleep};
use tower_service::Service;

use super::life::Life;
use super::shared::{PATIENCE, Shared};

/// One of these for each connection; all of its calls hold it, so that it also tells whether there
/// are any.
pub(super) type Generation<M, T> = Arc<Calls<M, T>>;

/// The calls of a connection.
pub(super) struct Calls<M: Service<T>, T> {
    pub(super) life: Life,
    /// Where it is handed out, so that a call need not hold that as well.
    shared: Weak<Shared<M, T>>,
    failed: AtomicBool,
    /// How many wait in line, so that the usual case takes no lock.
    waiting: AtomicUsize,
    line: Mutex<Line>,
}

/// Those who wait for the connection to be ready, in the order of their calls.
///
/// A connection makes room for them in that order, but it is not in that order that they are polled,
/// and a new call may find room that was made since.
#[derive(Default)]
struct Line {
    places: BTreeMap<u64, Option<Waker>>,
    next: u64,
}

impl<M: Service<T>, T> Calls<M, T> {
    pub(super) fn new(life: Life, shared: &Arc<Shared<M, T>>) -> Self {
        Self {
            life,
            shared: Arc::downgrade(shared),
            failed: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            line: Mutex::default(),
        }
    }

    /// A call failed together with the connection, which is not handed out again.
    pub(super) fn call_failed(self: &Arc<Self>) {
        self.failed.store(true, Ordering::Release);
        // If it has gone, so have all who could be handed the connection.
        if let Some(shared) = self.shared.upgrade() {
            shared.retire(self);
        }
    }

    /// Those who wait for a connection, unless nobody is left who could make one.
    pub(super) fn shared(&self) -> Option<Arc<Shared<M, T>>> {
        self.shared.upgrade()
    }

    pub(super) fn has_failed_calls(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Nobody waits for the connection to be ready.
    pub(super) fn is_free(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line. Dropping it gives it up.
pub(super) struct Place<M: Service<T>, T> {
    calls: Generation<M, T>,
    number: u64,
    /// Runs while it lets others go first.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<M: Service<T>, T> Place<M, T> {
    /// The last place.
    pub(super) fn join(calls: &Generation<M, T>) -> Self {
        let mut line = calls.line();
        let number = line.next;
        line.next += 1;
        line.places.insert(number, None);
        calls.waiting.store(line.places.len(), Ordering::Release);
        drop(line);
        Self {
            calls: Arc::clone(calls),
            number,
            patience: None,
        }
    }

    /// Ready when it is the first in line, or has let the others go first for long enough: they lose
    /// their places then. To be polled only while there is room for it, so that there is room for
    /// those before it too.
    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut line = self.calls.line();
        let first = line.places.first_key_value().map(|(first, _)| *first);
        // Or it has lost its place itself.
        if first.is_none_or(|first| first >= self.number) {
            return Poll::Ready(());
        }
        let former = line.places.insert(self.number, Some(waker));
        drop(line);
        drop(former);
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        ready!(patience.as_mut().poll(cx));
        let mut line = self.calls.line();
        let rest = line.places.split_off(&self.number);
        let passed = std::mem::replace(&mut line.places, rest);
        drop(line);
        passed.into_values().flatten().for_each(Waker::wake);
        Poll::Ready(())
    }
}

impl<M: Service<T>, T> Drop for Place<M, T> {
    fn drop(&mut self) {
        let mut line = self.calls.line();
        let own = line.places.remove(&self.number);
        self.calls
            .waiting
            .store(line.places.len(), Ordering::Release);
        let first = line.places.first_entry();
        let next = first.and_then(|mut first| first.get_mut().take());
        drop(line);
        drop(own);
        if let Some(next) = next {
            next.wake();
        }
    }
}
