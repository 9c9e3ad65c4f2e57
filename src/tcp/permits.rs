use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// For how long a permit that is free is kept for whoever is the first in line. It was woken; but it
/// may never be polled again.
const PATIENCE: Duration = Duration::from_millis(20);

/// How many requests may still go out, and who waits until there is room, in the order of asking.
///
/// Not tokio's semaphore, because that gives a permit to a waiter who may never come for it. Here it
/// has to be fetched, and who does not come loses its place ([`Unclaimed`]).
pub(super) struct Permits {
    free: AtomicUsize,
    /// `line.places.len()`, so that the usual case takes no lock.
    waiting: AtomicUsize,
    line: Mutex<Line>,
}

#[derive(Default)]
struct Line {
    places: BTreeMap<u64, Option<Waker>>,
    next: u64,
    closed: bool,
}

impl Line {
    fn wake_first(&mut self) -> Option<Waker> {
        self.places.values_mut().next()?.take()
    }
}

impl Permits {
    pub(super) fn new(free: usize) -> Self {
        Self {
            free: AtomicUsize::new(free),
            waiting: AtomicUsize::new(0),
            line: Mutex::default(),
        }
    }

    /// Takes one, if there is one for which nobody waits.
    #[inline]
    pub(super) fn try_take(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) == 0 && self.take()
    }

    #[inline]
    fn take(&self) -> bool {
        let less = |free: usize| free.checked_sub(1);
        let taken = self
            .free
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less);
        taken.is_ok()
    }

    /// Takes one when it is this one's turn: `place` is its place in the line, if it has one. Ready
    /// without one when the line was closed.
    pub(super) fn poll_take(&self, place: &mut Option<u64>, cx: &mut Context<'_>) -> Poll<bool> {
        // Cloning a waker, and dropping one, is foreign code: not under the lock.
        let waker = cx.waker().clone();
        let mut line = self.line();
        if line.closed {
            *place = None;
            return Poll::Ready(false);
        }
        // Or it has lost its place.
        let place_or_last = place.filter(|place| line.places.contains_key(place));
        let own = place_or_last.unwrap_or(line.next);
        line.next = line.next.max(own + 1);
        *place = Some(own);
        let former = line.places.insert(own, Some(waker));
        self.set_waiting(&line);
        let is_first = line.places.keys().next() == Some(&own);
        // Before the look at what is free it was noted that somebody waits: who gives one back after
        // the look finds that.
        if !is_first || !self.take() {
            drop(line);
            drop(former);
            return Poll::Pending;
        }
        *place = None;
        let gone = line.places.remove(&own);
        self.set_waiting(&line);
        let next = self.has_free().then(|| line.wake_first()).flatten();
        drop(line);
        drop((former, gone));
        next.into_iter().for_each(Waker::wake);
        Poll::Ready(true)
    }

    /// So many requests are no longer in flight.
    pub(super) fn give_back(&self, permits: usize) {
        if permits == 0 {
            return;
        }
        self.free.fetch_add(permits, Ordering::SeqCst);
        if self.has_waiting() {
            let first = self.line().wake_first();
            first.into_iter().for_each(Waker::wake);
        }
    }

    /// Gives up a place.
    pub(super) fn leave(&self, place: u64) {
        let mut line = self.line();
        let own = line.places.remove(&place);
        self.set_waiting(&line);
        let next = self.has_free().then(|| line.wake_first()).flatten();
        drop(line);
        drop(own);
        next.into_iter().for_each(Waker::wake);
    }

    /// Nobody gets one by waiting any more.
    pub(super) fn close(&self) {
        let mut line = self.line();
        line.closed = true;
        let places = std::mem::take(&mut line.places);
        self.set_waiting(&line);
        drop(line);
        places.into_values().flatten().for_each(Waker::wake);
    }

    /// Some are free, and some wait: somebody has to fetch one.
    #[inline]
    pub(super) fn is_unclaimed(&self) -> bool {
        self.has_waiting() && self.has_free()
    }

    fn has_free(&self) -> bool {
        self.free.load(Ordering::SeqCst) > 0
    }

    #[inline]
    fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    fn first(&self) -> Option<u64> {
        self.line().places.keys().next().copied()
    }

    fn set_waiting(&self, line: &Line) {
        self.waiting.store(line.places.len(), Ordering::SeqCst);
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches that free permits are fetched. Who does not come for one loses its place, and takes one at
/// the end if it comes after all.
#[derive(Default)]
pub(super) struct Unclaimed {
    /// Whose turn it has been since the timer runs.
    first: Option<u64>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Unclaimed {
    /// To be polled when somebody may have to fetch one.
    pub(super) fn poll(&mut self, permits: &Permits, cx: &mut Context<'_>) {
        while permits.is_unclaimed() {
            let first = permits.first();
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
            if self.first != first {
                self.first = first;
                timer.as_mut().reset(Instant::now() + PATIENCE);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return;
            }
            if let Some(first) = first {
                permits.leave(first);
            }
        }
        self.first = None;
    }
}

#[cfg(test)]
mod tests;
