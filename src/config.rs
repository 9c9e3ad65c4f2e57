use std::sync::Arc;
use std::time::Duration;

use tower::retry::budget::Budget;

use crate::backoff::ErasedBackoff;
use crate::{Limits, Observer, WhenFull};

/// The settings of a layer that have no type of their own.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) backoff: Option<Arc<dyn ErasedBackoff>>,
    pub(crate) budget: Option<Arc<dyn Budget + Send + Sync>>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) give_up_after: Option<Duration>,
    pub(crate) max_attempts: u32,
    pub(crate) limits: Limits,
    pub(crate) when_full: WhenFull,
    pub(crate) in_order: bool,
    pub(crate) persist: bool,
    pub(crate) redirects_off: bool,
}

impl Config {
    pub(crate) const fn new() -> Self {
        Self {
            backoff: None,
            budget: None,
            observer: None,
            attempt_timeout: None,
            give_up_after: Some(Duration::from_secs(180)),
            max_attempts: u32::MAX,
            limits: Limits::new(),
            when_full: WhenFull::Reject,
            in_order: false,
            persist: false,
            redirects_off: false,
        }
    }

    /// How long the first attempt of a call may take.
    #[inline]
    pub(crate) fn first_attempt(&self) -> Option<Duration> {
        match (self.attempt_timeout, self.give_up_after) {
            (Some(attempt), Some(all)) => Some(attempt.min(all)),
            (limit, None) | (None, limit) => limit,
        }
    }
}
