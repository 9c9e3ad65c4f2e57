use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep_until};

/// The time that belongs to a call. Two words, so that the future stays small.
pub(crate) enum Clock {
    /// The call's future has not had to wait yet.
    Stopped,
    /// It first had to wait, or failed, then.
    Since(Instant),
    /// The same, with a limit.
    Timed(Pin<Box<Timer>>),
}

pin_project! {
    /// The timer of a call. Whom it belongs to needs no other allocation, so it knows the start too.
    pub(crate) struct Timer {
        started: Instant,
        #[pin]
        pub(super) sleep: Sleep,
    }
}

impl Timer {
    /// The `Sleep` is made in the box: it is large, and would be moved there.
    #[inline]
    fn boxed(started: Instant, at: Instant) -> Pin<Box<Self>> {
        Box::pin(Self {
            sleep: sleep_until(at),
            started,
        })
    }
}

impl Clock {
    /// When it started.
    pub(super) fn since(&self) -> Option<Instant> {
        match self {
            Self::Stopped => None,
            Self::Since(started) => Some(*started),
            Self::Timed(timer) => Some(timer.started),
        }
    }

    /// The same, now at the latest.
    pub(super) fn start(&mut self) -> Instant {
        self.since().unwrap_or_else(|| {
            let now = Instant::now();
            *self = Self::Since(now);
            now
        })
    }

    /// A timer for this time.
    pub(super) fn timer(&mut self, at: Instant) -> Pin<&mut Timer> {
        if !matches!(self, Self::Timed(_)) {
            let started = self.start();
            *self = Self::Timed(Timer::boxed(started, at));
        }
        match self {
            Self::Timed(timer) => timer.as_mut(),
            _ => unreachable!(),
        }
    }

    /// Ready when this time since the start is over. It is asked for once.
    #[inline]
    pub(super) fn poll_limit(
        &mut self,
        limit: impl FnOnce() -> Option<Duration>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if let Self::Timed(timer) = self {
            return timer.as_mut().project().sleep.poll(cx);
        }
        let started = self.since().unwrap_or_else(Instant::now);
        let Some(at) = limit().and_then(|limit| started.checked_add(limit)) else {
            *self = Self::Since(started);
            return Poll::Pending;
        };
        let mut timer = Timer::boxed(started, at);
        let over = timer.as_mut().project().sleep.poll(cx);
        *self = Self::Timed(timer);
        over
    }

    pub(super) fn stop_timer(&mut self) {
        if let Self::Timed(timer) = self {
            *self = Self::Since(timer.started);
        }
    }
}
