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
            made: Instant::now(),
            last_used: AtomicU64::new(0),
        });
        Life { clock }
    }

    /// Whether the connection may still be handed out. `calls` of it are under way.
    pub(super) fn allow(self, life: &Life, calls: usize) -> bool {
        let Some(clock) = &life.clock else {
            return true;
        };
        let age = clock.made.elapsed();
        let idle = age.saturating_sub(Duration::from_nanos(
            clock.last_used.load(Ordering::Relaxed),
        ));
        self.max_age.is_none_or(|max| age < max)
            && (calls > 0 || self.idle_timeout.is_none_or(|max| idle < max))
    }
}

impl Life {
    /// A call begins or ends.
    pub(super) fn touch(&self) {
        if let Some(clock) = &self.clock {
            let age = u64::try_from(clock.made.elapsed().as_nanos()).unwrap_or(u64::MAX);
            clock.last_used.fetch_max(age, Ordering::Relaxed);
        }
    }
}
