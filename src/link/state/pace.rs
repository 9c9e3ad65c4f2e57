//! How long a link that is down waits for its next probe.

use std::time::Duration;

use super::{Link, Phase, Time};
use crate::backoff::{FIRST_STEP, MIN_DELAY};

/// An outage that begins within this time of the last connection error goes on with its backoff.
pub(crate) const STABLE: Duration = Duration::from_secs(10);

/// Unless so many of the backlog were answered since: behind an address where one peer of many is away, the
/// last connection error is never far, and the delays would grow until nothing gets through.
const CONVINCING: u32 = 8;

/// What many answers count for, so that a peer that was good is not trusted for long.
const MOST_CREDIT: u32 = 4 * CONVINCING;

impl<W> Link<W> {
    /// One of the backlog was answered.
    pub(super) fn give_credit(&mut self) {
        self.credit = MOST_CREDIT.min(self.credit + 1);
    }

    /// An outage begins soon after the last connection error. Whether its backoff begins anew all the same.
    pub(super) fn spend_credit(&mut self) -> bool {
        let anew = self.credit >= CONVINCING;
        if anew {
            self.delay = FIRST_STEP;
        }
        self.credit = self.credit.saturating_sub(CONVINCING);
        anew
    }

    /// The backoff's next delay, counted from `from`. `false` if it was [woken](Self::wake) meanwhile, so
    /// that it begins from the first step.
    pub(crate) fn delay(&mut self, delay: Duration, from: Time, wakes: &mut Vec<W>) -> bool {
        if !std::mem::take(&mut self.awaits_delay) {
            return false;
        }
        self.delay = delay.max(MIN_DELAY);
        if let Phase::Down { probe_at } = &mut self.phase {
            *probe_at = self.not_before.max(from.saturating_add(self.delay));
        }
        self.settle(from, wakes);
        true
    }
}
