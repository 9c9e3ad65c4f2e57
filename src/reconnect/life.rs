use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// When a connection was made and last used. Empty, and without a look at the clock, where nothing
/// limits it.
#[derive(Default)]
pub(super) struct Life {
    clock: Option<Clock>,
}

struct Clock {
    limits: Limits,
    made: Instant,
    /// Nanoseconds after `made`.
    last_used: AtomicU64,
}

/// How long a connection is handed out.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Limits {
    pub(super) max_age: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
}

impl Limits {
    /// A connection was made.
    pub(super) fn begin(self) -> Life {
        let limited = self.max_age.is_some() || self.idle_timeout.is_some();
        let clock = limited.then(|| Clock {
            limits: self,
            made: Instant::now(),
            last_used: AtomicU64::new(0),
        });
        Life { clock }
    }
}

impl Life {
    /// Whether the connection may not be handed out any more. `calls` of it are under way.
    #[inline]
    pub(super) fn is_over(&self, calls: impl FnOnce() -> usize) -> bool {
        self.clock
            .as_ref()
            .is_some_and(|clock| clock.is_over(calls()))
    }

    /// A call begins or ends.
    #[inline]
    pub(super) fn touch(&self) {
        if let Some(clock) = &self.clock {
            clock.touch();
        }
    }
}

impl Clock {
    fn is_over(&self, calls: usize) -> bool {
        let age = self.made.elapsed();
        let last_used = Duration::from_nanos(self.last_used.load(Ordering::Relaxed));
        let idle = age.saturating_sub(last_used);
        let Limits {
            max_age,
            idle_timeout,
        } = self.limits;
        max_age.is_some_and(|max| age >= max)
            || (calls == 0 && idle_timeout.is_some_and(|max| idle >= max))
    }

    fn touch(&self) {
        let age = u64::try_from(self.made.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.last_used.fetch_max(age, Ordering::Relaxed);
    }
}
