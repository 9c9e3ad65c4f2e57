use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};

use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// The error of one connect attempt, shared by all who waited for it.
pub(super) type SharedError = Arc<dyn Error + Send + Sync + 'static>;

/// The callers that wait for a connection, oldest first, and the one waker that the connect
/// attempt sees.
///
/// Whoever happens to be polled drives the attempt, always with *this* as its waker, and a wake-up
/// goes to everybody who waits. So it does not matter who polled it last, who is dropped, or who is
/// never polled again: a wake-up is lost only if nobody waits.
///
/// Waking everybody is affordable because an attempt is woken a handful of times in its life.
#[derive(Default)]
pub(super) struct Waiters {
    list: Mutex<List>,
    /// `list.waiting.len()`, to be read without the lock.
    len: AtomicUsize,
    /// The attempt was woken since it was last polled (or was never polled).
    notified: AtomicBool,
}

struct List {
    /// A waker is taken to be woken: whoever is polled then brings another one.
    waiting: BTreeMap<u64, Option<Waker>>,
    /// Those whose attempt failed, and who have not been told yet.
    failed: BTreeMap<u64, SharedError>,
    /// No place is before this one.
    first: u64,
    /// No place is at this one or after it.
    next: u64,
}

impl Default for List {
    fn default() -> Self {
        // In the middle: places are taken at both ends.
        let middle = 1 << 63;
        Self {
            waiting: BTreeMap::new(),
            failed: BTreeMap::new(),
            first: middle,
            next: middle,
        }
    }
}

impl List {
    fn append(&mut self, waker: Option<Waker>) -> u64 {
        let place = self.next;
        self.next += 1;
        self.waiting.insert(place, waker);
        place
    }
}

impl Waiters {
    /// Joins the list, or renews the waker of a place in it.
    ///
    /// # Errors
    ///
    /// The error of the attempt that was waited for. The place is given up then.
    pub(super) fn register(&self, place: Option<u64>, waker: &Waker) -> Result<u64, SharedError> {
        // Cloning a waker, and dropping one, is foreign code: not under the lock.
        let waker = Some(waker.clone());
        let _former;
        let mut list = self.lock();
        if let Some(place) = place {
            if let Some(error) = list.failed.remove(&place) {
                return Err(error);
            }
            if let Some(known) = list.waiting.get_mut(&place) {
                _former = std::mem::replace(known, waker);
                return Ok(place);
            }
        }
        let place = list.append(waker);
        self.len.store(list.waiting.len(), Ordering::Release);
        Ok(place)
    }

    /// Joins the list, for somebody who will come.
    pub(super) fn take_last_place(&self) -> u64 {
        let mut list = self.lock();
        let place = list.append(None);
        self.len.store(list.waiting.len(), Ordering::Release);
        place
    }

    /// Takes places before all others, for those that are wanted, in their order. Returns the first; the
    /// others are next to it.
    pub(super) fn take_first_places(&self, wanted: &[bool]) -> u64 {
        let mut list = self.lock();
        list.first -= wanted.len() as u64;
        let first = list.first;
        let places = (first..).zip(wanted).filter(|(_, wanted)| **wanted);
        list.waiting.extend(places.map(|(place, _)| (place, None)));
        self.len.store(list.waiting.len(), Ordering::Release);
        first
    }

    /// The error of the attempt that was waited for, if it has failed since. The place is given up
    /// then.
    pub(super) fn failure(&self, place: u64) -> Option<SharedError> {
        self.lock().failed.remove(&place)
    }

    /// Leaves the list, and wakes whoever is first now. Returns whether somebody still waits.
    pub(super) fn leave(&self, place: u64) -> bool {
        let mut list = self.lock();
        let left = (list.waiting.remove(&place), list.failed.remove(&place));
        self.len.store(list.waiting.len(), Ordering::Release);
        let some_wait = !list.waiting.is_empty();
        let first = list.waiting.values_mut().next().and_then(Option::take);
        drop(list);
        drop(left);
        first.into_iter().for_each(Waker::wake);
        some_wait
    }

    /// The first did not come when it was its turn, and gives its place up; so do those between it and
    /// this one who have not come either since they were woken. If they are polled after all they take a
    /// place at the end.
    pub(super) fn pass_over(&self, first: u64, place: u64) {
        let mut list = self.lock();
        let rest = list.waiting.split_off(&place);
        let mut before = std::mem::replace(&mut list.waiting, rest);
        let passed = before.remove(&first).flatten();
        before.retain(|_, waker| waker.is_some());
        // It may have had no reason to hurry until now.
        let next = before.values_mut().next().and_then(Option::take);
        list.waiting.extend(before);
        self.len.store(list.waiting.len(), Ordering::Release);
        drop(list);
        // It may have come in this moment, and would wait where nobody finds it.
        passed.into_iter().chain(next).for_each(Waker::wake);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0
    }

    /// The first place, if it is before this one.
    pub(super) fn first_before(&self, place: u64) -> Option<u64> {
        let list = self.lock();
        let (first, _) = list.waiting.first_key_value()?;
        (*first < place).then_some(*first)
    }

    /// Notes for everybody who waits that the attempt they waited for has failed. Returns whom to
    /// wake, oldest first.
    pub(super) fn fail_all(&self, error: &SharedError) -> Vec<Waker> {
        let mut list = self.lock();
        let failed = std::mem::take(&mut list.waiting);
        self.len.store(0, Ordering::Release);
        let failed = failed.into_iter().map(|(place, waker)| {
            list.failed.insert(place, Arc::clone(error));
            waker
        });
        failed.flatten().collect()
    }

    /// Wakes everybody who waits, oldest first.
    pub(super) fn wake_all(&self) {
        let mut list = self.lock();
        let wakers = list.waiting.values_mut().filter_map(Option::take);
        let wakers: Vec<Waker> = wakers.collect();
        drop(list);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The attempt has something to do: whoever is polled next should poll it.
    pub(super) fn set_notified(&self) {
        self.notified.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_notified(&self) -> bool {
        self.notified.load(Ordering::SeqCst)
    }

    /// Must come before the poll of the attempt that answers it.
    pub(super) fn take_notified(&self) -> bool {
        self.notified.swap(false, Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Waiters {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // In this order: who is woken must find the note.
        self.set_notified();
        self.wake_all();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[derive(Default)]
    struct Count(std::sync::atomic::AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A caller's place, and how often it was woken.
    fn joins(waiters: &Waiters) -> (u64, Arc<Count>) {
        let count = Arc::<Count>::default();
        let place = waiters.register(None, &Waker::from(count.clone()));
        (place.unwrap(), count)
    }

    fn woken(count: &Count) -> usize {
        count.0.load(Ordering::SeqCst)
    }

    #[test]
    fn who_comes_in_the_moment_in_which_it_is_passed_over_is_woken() {
        let waiters = Waiters::default();
        let (first, count) = joins(&waiters);
        let (last, _) = joins(&waiters);
        waiters.pass_over(first, last);
        assert_eq!(woken(&count), 1);
        assert_eq!(waiters.first_before(last), None);
    }

    #[test]
    fn who_lets_the_first_go_too_is_not_passed_over_with_it() {
        let waiters = Waiters::default();
        let [(first, _), (stalls, _), (comes, count), (last, _)] =
            std::array::from_fn(|_| joins(&waiters));
        waiters.wake_all();
        let waker = Waker::from(count.clone());
        waiters.register(Some(comes), &waker).unwrap();
        waiters.pass_over(first, last);
        assert_eq!(waiters.first_before(last), Some(comes));
        assert_eq!(waiters.first_before(stalls), None);
        // Once with all, and once because it is its turn.
        assert_eq!(woken(&count), 2);
    }
}
