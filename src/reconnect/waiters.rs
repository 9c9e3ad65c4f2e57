use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

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
    /// `list.entries.len()`, to be read without the lock.
    len: AtomicUsize,
    /// The attempt was woken since it was last polled (or was never polled).
    notified: AtomicBool,
}

#[derive(Default)]
struct List {
    entries: BTreeMap<u64, Entry>,
    next: u64,
}

struct Entry {
    waker: Waker,
    failure: Option<SharedError>,
}

impl Waiters {
    /// Joins the list, or renews the waker of a place in it. Returns the place, and the error of
    /// the attempt that was waited for, if it failed.
    pub(super) fn register(&self, place: Option<u64>, waker: &Waker) -> (u64, Option<SharedError>) {
        let mut list = self.lock();
        if let Some(place) = place {
            if let Some(entry) = list.entries.get_mut(&place) {
                entry.waker.clone_from(waker);
                return (place, entry.failure.take());
            }
        }
        let place = list.next;
        list.next += 1;
        let entry = Entry {
            waker: waker.clone(),
            failure: None,
        };
        list.entries.insert(place, entry);
        self.len.store(list.entries.len(), Ordering::Release);
        (place, None)
    }

    /// Leaves the list, and wakes whoever is first now. Returns whether somebody still waits.
    pub(super) fn leave(&self, place: u64) -> bool {
        let mut list = self.lock();
        let left = list.entries.remove(&place);
        self.len.store(list.entries.len(), Ordering::Release);
        let first = list.entries.values().next();
        let first = first.map(|entry| entry.waker.clone());
        drop(list);
        // A waker's drop is foreign code: not under the lock.
        drop(left);
        let some_left = first.is_some();
        first.into_iter().for_each(Waker::wake);
        some_left
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len.load(Ordering::Acquire) == 0
    }

    /// Nobody who waits came before this place.
    pub(super) fn is_first(&self, place: u64) -> bool {
        match self.lock().entries.first_key_value() {
            Some((first, _)) => place <= *first,
            None => true,
        }
    }

    /// Notes for everybody who waits that the attempt they waited for has failed. Wakes nobody.
    pub(super) fn fail_all(&self, error: &SharedError) {
        for entry in self.lock().entries.values_mut() {
            entry.failure = Some(Arc::clone(error));
        }
    }

    /// Wakes everybody who waits, oldest first.
    pub(super) fn wake_all(&self) {
        let wakers: Vec<Waker> = {
            let list = self.lock();
            list.entries.values().map(|e| e.waker.clone()).collect()
        };
        for waker in wakers {
            waker.wake();
        }
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
