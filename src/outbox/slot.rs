use std::sync::atomic::{AtomicU8, Ordering};

use futures_util::task::AtomicWaker;

/// What the outbox and one delivery tell each other.
///
/// A message can be taken back while it waits, never while an attempt is in flight: that may succeed.
pub(super) struct Slot {
    state: AtomicU8,
    waker: AtomicWaker,
}

const WAITS: u8 = 0;
/// It is being polled, or an attempt is in flight.
const BUSY: u8 = 1;
const TAKEN: u8 = 2;

impl Slot {
    pub(super) fn new(in_attempt: bool) -> Self {
        Self {
            state: AtomicU8::new(if in_attempt { BUSY } else { WAITS }),
            waker: AtomicWaker::new(),
        }
    }

    /// Whether it could be taken back.
    pub(super) fn waits(&self) -> bool {
        self.state.load(Ordering::Acquire) == WAITS
    }

    /// Takes the message back, if it waits.
    pub(super) fn take(&self) -> bool {
        let taken = self
            .state
            .compare_exchange(WAITS, TAKEN, Ordering::AcqRel, Ordering::Acquire);
        if taken.is_ok() {
            self.waker.wake();
        }
        taken.is_ok()
    }

    /// A poll begins. Whether the message is still there.
    pub(super) fn begin(&self, waker: &std::task::Waker) -> bool {
        self.waker.register(waker);
        let state = self
            .state
            .compare_exchange(WAITS, BUSY, Ordering::AcqRel, Ordering::Acquire);
        !matches!(state, Err(TAKEN))
    }

    /// A poll ends without an answer.
    pub(super) fn end(&self, in_attempt: bool) {
        if !in_attempt {
            self.state.store(WAITS, Ordering::Release);
        }
    }
}
