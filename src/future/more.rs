use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

use super::gone::Gone;
use super::slow::Slow;

/// What a call has beside its first attempt. Two words, so that the future stays small.
pub(super) enum More<S> {
    /// Its first attempt was not polled yet.
    Nothing,
    /// It has waited for its first attempt since then, without a limit.
    Since(Instant),
    /// The same, with a limit.
    Timed(Pin<Box<Timer>>),
    /// More than one attempt, or a request that can't be copied.
    Slow(Box<Slow<S>>),
}

pin_project! {
    /// The timer of a call. Whom it belongs to needs no other allocation, so it knows the start too.
    pub(super) struct Timer {
        started: Instant,
        #[pin]
        pub(super) sleep: Sleep,
    }
}

/// Dropped without a step where there is nothing, and out of line where there is more.
pub(super) struct Rare<S>(ManuallyDrop<More<S>>);

impl<S> Rare<S> {
    #[inline]
    pub(super) fn new(more: More<S>) -> Self {
        Self(ManuallyDrop::new(more))
    }

    #[cold]
    #[inline(never)]
    fn end(&mut self) {
        *self.0 = More::Nothing;
    }
}

impl<S> Drop for Rare<S> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(*self.0, More::Nothing) {
            self.end();
        }
    }
}

impl<S> Deref for Rare<S> {
    type Target = More<S>;

    #[inline]
    fn deref(&self) -> &More<S> {
        &self.0
    }
}

impl<S> DerefMut for Rare<S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut More<S> {
        &mut self.0
    }
}

impl<S> More<S> {
    /// When the call's future first had to wait, or failed.
    pub(super) fn since(&self) -> Option<Instant> {
        match self {
            Self::Nothing => None,
            Self::Since(started) => Some(*started),
            Self::Timed(timer) => Some(timer.started),
            Self::Slow(slow) => slow.started,
        }
    }

    /// The same, now at the latest.
    pub(super) fn started(&mut self) -> Instant {
        if let Some(started) = self.since() {
            return started;
        }
        let now = Instant::now();
        match self {
            Self::Slow(slow) => slow.started = Some(now),
            _ => *self = Self::Since(now),
        }
        now
    }

    /// The state of a call that is more than one attempt; from now on this one is.
    pub(super) fn slow(&mut self) -> &mut Slow<S> {
        if !matches!(self, Self::Slow(_)) {
            let mut slow = Box::new(Slow::new());
            slow.started = self.since();
            if let Self::Timed(timer) = std::mem::replace(self, Self::Nothing) {
                slow.timer = Some(timer);
            }
            *self = Self::Slow(slow);
        }
        let Self::Slow(slow) = self else {
            unreachable!()
        };
        slow
    }

    /// That of a call whose request can't be copied.
    #[cold]
    pub(super) fn with_gone(gone: Gone) -> Self {
        let mut slow = Slow::new();
        slow.gone = Some(gone);
        Self::Slow(Box::new(slow))
    }

    /// The same, if it is already.
    pub(super) fn if_slow(&self) -> Option<&Slow<S>> {
        match self {
            Self::Slow(slow) => Some(slow),
            _ => None,
        }
    }

    pub(super) fn take_slow(&mut self) -> Slow<S> {
        match std::mem::replace(self, Self::Nothing) {
            Self::Slow(slow) => *slow,
            _ => Slow::new(),
        }
    }

    /// A timer for this time.
    pub(super) fn timer(&mut self, at: Instant) -> Pin<&mut Timer> {
        let started = self.started();
        let timer = || {
            let sleep = sleep_until(at);
            Box::pin(Timer { started, sleep })
        };
        if let Self::Nothing | Self::Since(_) = self {
            *self = Self::Timed(timer());
        }
        match self {
            Self::Timed(timer) => timer.as_mut(),
            _ => self.slow().timer.get_or_insert_with(timer).as_mut(),
        }
    }

    pub(super) fn stop_timer(&mut self) {
        match self {
            Self::Timed(timer) => *self = Self::Since(timer.started),
            Self::Slow(slow) => slow.timer = None,
            Self::Nothing | Self::Since(_) => {}
        }
    }
}
