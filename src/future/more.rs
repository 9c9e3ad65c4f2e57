use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};

use super::clock::Clock;
use super::gone::Gone;
use super::slow::Slow;
use crate::RequestModel;

/// What a call has beside its first attempt.
pub(crate) enum More<S> {
    Clock(Clock),
    /// More than one attempt, or a request that can't be copied.
    Slow(Box<Slow<S>>),
}

impl<S> More<S> {
    pub(super) const NOTHING: Self = Self::Clock(Clock::Stopped);

    /// That of a call whose request can't be copied.
    #[cold]
    #[inline(never)]
    fn with_gone<Req, R: RequestModel<Req>>(request: &Req) -> Self {
        let mut slow = Slow::new();
        slow.gone = Some(Box::new(Gone::new::<Req, R>(request)));
        Self::Slow(Box::new(slow))
    }

    pub(super) fn clock(&self) -> &Clock {
        match self {
            Self::Clock(clock) => clock,
            Self::Slow(slow) => &slow.clock,
        }
    }

    pub(super) fn clock_mut(&mut self) -> &mut Clock {
        match self {
            Self::Clock(clock) => clock,
            Self::Slow(slow) => &mut slow.clock,
        }
    }

    /// The state of a call that is more than one attempt; from now on this one is.
    pub(super) fn slow(&mut self) -> &mut Slow<S> {
        if !matches!(self, Self::Slow(_)) {
            *self = Self::Slow(Box::new(self.take_slow()));
        }
        let Self::Slow(slow) = self else {
            unreachable!()
        };
        slow
    }

    /// The same, if it is already.
    pub(super) fn if_slow(&self) -> Option<&Slow<S>> {
        match self {
            Self::Slow(slow) => Some(slow),
            Self::Clock(_) => None,
        }
    }

    pub(super) fn take_slow(&mut self) -> Slow<S> {
        match std::mem::replace(self, Self::NOTHING) {
            Self::Slow(slow) => *slow,
            Self::Clock(clock) => Slow {
                clock,
                ..Slow::new()
            },
        }
    }
}

/// Dropped without a step where there is nothing, in line where there is a timer, as with most calls that
/// wait, and out of line where there is more.
pub(crate) struct Rare<S>(ManuallyDrop<More<S>>);

impl<S> Rare<S> {
    #[inline]
    pub(super) fn new(more: More<S>) -> Self {
        Self(ManuallyDrop::new(more))
    }

    /// Nothing beside the first attempt, as long as it is in flight.
    #[inline]
    pub(crate) fn nothing() -> Self {
        // Not `NOTHING`, which would be copied from where the constant is.
        Self::new(More::Clock(Clock::Stopped))
    }

    /// The same, where that attempt has the request, which can't be copied.
    #[inline]
    pub(crate) fn with_gone<Req, R: RequestModel<Req>>(request: &Req) -> Self {
        Self::new(More::with_gone::<Req, R>(request))
    }

    #[cold]
    #[inline(never)]
    fn end(&mut self) {
        *self.0 = More::NOTHING;
    }
}

impl<S> Drop for Rare<S> {
    #[inline]
    fn drop(&mut self) {
        match &mut *self.0 {
            More::Clock(Clock::Stopped | Clock::Since(_)) => {}
            More::Clock(clock) => *clock = Clock::Stopped,
            More::Slow(_) => self.end(),
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
