use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::time::{Instant, Sleep, sleep};

use super::shared::PATIENCE;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// Those who wait for a connection to be ready, in the order of their calls; one for each connection.
///
/// A connection makes room for them in that order, but it is not in that order that they are polled,
/// and a new call may find room that was made since.
#[derive(Default)]
pub(super) struct Line {
    failed: AtomicBool,
    /// How many wait in line, so that the usual case takes no lock.
    waiting: AtomicUsize,
    list: Mutex<List>,
}

#[derive(Default)]
struct List {
    places: BTreeMap<u64, Option<Waker>>,
    next: u64,
    /// It may have calls in flight. (In all but odd cases 1 or 0: see [`Calls`](super::calls::Calls).)
    calls: usize,
    /// When somebody first noticed that the connection is dead.
    died: Option<Instant>,
}

/// What is known of those who came before, on a connection that is dead.
pub(super) struct Elders {
    /// No call is in flight: who was has been answered, has failed or has gone.
    pub(super) have_heard: bool,
    /// Some have failed.
    pub(super) have_failed: bool,
    /// Some wait, as this one does.
    pub(super) wait: bool,
}

impl Line {
    pub(super) fn calls_begin(&self) {
        self.list().calls += 1;
    }

    /// No call is in flight any more, and there will be none: those who wait for that are woken.
    pub(super) fn calls_end(&self) {
        self.wake_all_after(|list| list.calls -= 1);
    }

    /// A call has failed with the connection. Those who wait for others to hear are woken, to fail too.
    pub(super) fn call_failed(&self) {
        if self.failed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.wake_all_after(|list| {
            list.died.get_or_insert_with(Instant::now);
        });
    }

    /// Changes the list, and wakes all who wait.
    fn wake_all_after(&self, change: impl FnOnce(&mut List)) {
        let mut list = self.list();
        change(&mut list);
        let wakers = list.places.values_mut().filter_map(Option::take);
        let wakers: Vec<Waker> = wakers.collect();
        drop(list);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn has_failed_calls(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// When it died, as far as is known. If it was not known, that is now.
    pub(super) fn died(&self) -> Instant {
        *self.list().died.get_or_insert_with(Instant::now)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Nobody waits for the connection to be ready.
    #[inline]
    pub(super) fn is_free(&self) -> bool {
        self.len() == 0
    }

    /// Some have not heard yet that it is dead.
    pub(super) fn is_unheard(&self) -> bool {
        let list = self.list();
        list.calls > 0 || !list.places.is_empty()
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the line. Dropping it gives it up.
pub(super) struct Place {
    line: Arc<Line>,
    number: u64,
    /// Runs while it lets others go first.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Place {
    /// The last place.
    pub(super) fn join(line: &Arc<Line>) -> Self {
        let mut list = line.list();
        let number = list.next;
        list.next += 1;
        list.places.insert(number, None);
        line.waiting.store(list.places.len(), Ordering::Release);
        drop(list);
        Self {
            line: Arc::clone(line),
            number,
            patience: None,
        }
    }

    /// Ready when it is the first in line, or has let the others go first for long enough: they lose
    /// their places then. To be polled only while there is room for it, so that there is room for
    /// those before it too.
    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waker = cx.waker().clone();
        let mut list = self.line.list();
        let first = list.places.first_key_value().map(|(first, _)| *first);
        // Or it has lost its place itself.
        if first.is_none_or(|first| first >= self.number) {
            return Poll::Ready(());
        }
        let former = list.places.insert(self.number, Some(waker));
        drop(list);
        drop(former);
        let patience = self
            .patience
            .get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        ready!(patience.as_mut().poll(cx));
        let mut list = self.line.list();
        let rest = list.places.split_off(&self.number);
        let passed = std::mem::replace(&mut list.places, rest);
        drop(list);
        passed.into_values().flatten().for_each(Waker::wake);
        Poll::Ready(())
    }

    /// Those who came before it, on a connection that is dead. It is woken when one of them has failed, when
    /// all have heard, and when it is the first of those who wait.
    pub(super) fn elders(&self, cx: &mut Context<'_>) -> Elders {
        let waker = cx.waker().clone();
        let mut list = self.line.list();
        let wait = list.places.range(..self.number).next().is_some();
        let have_heard = list.calls == 0;
        let former = list.places.insert(self.number, Some(waker));
        drop(list);
        drop(former);
        Elders {
            have_heard,
            have_failed: self.line.has_failed_calls(),
            wait,
        }
    }

    pub(super) fn line(&self) -> &Line {
        &self.line
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut list = self.line.list();
        let own = list.places.remove(&self.number);
        self.line
            .waiting
            .store(list.places.len(), Ordering::Release);
        let first = list.places.first_entry();
        let next = first.and_then(|mut first| first.get_mut().take());
        drop(list);
        drop(own);
        if let Some(next) = next {
            next.wake();
        }
    }
}
