//! What a link says of itself.

use super::{Id, Link, Phase, STABLE, STALE, Time};

impl<W> Link<W> {
    /// Whether a new call makes an attempt of its own.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether the peer is taken to be there: up, or draining.
    pub(crate) fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up | Phase::Draining { .. })
    }

    /// When it last went up or down.
    pub(crate) fn since(&self) -> Time {
        self.since
    }

    /// The attempts in the present or last outage.
    pub(crate) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// When the next probe is due.
    pub(crate) fn probe_at(&self) -> Option<Time> {
        match self.phase {
            Phase::Down { probe_at } => Some(probe_at),
            _ => None,
        }
    }

    /// Whether this request has a place, and no attempt in flight, or a verdict.
    pub(crate) fn has(&self, id: Id) -> bool {
        let waits = self.waiting.contains(id) || self.skipped.contains_key(&id);
        waits || self.failed.contains_key(&id)
    }

    /// How many requests have a place, those in flight included.
    pub(crate) fn held(&self) -> usize {
        self.waiting.len() + self.skipped.len() + self.flying.len()
    }

    /// The bytes that they hold.
    pub(crate) fn held_bytes(&self) -> usize {
        self.bytes
    }

    /// Those of them in flight, and their bytes.
    pub(crate) fn in_flight(&self) -> (usize, usize) {
        (self.flying.len(), self.flying_bytes)
    }

    pub(crate) fn oldest_waiting(&self) -> Option<Id> {
        let skipped = self.skipped.keys().next().copied();
        self.waiting.first().into_iter().chain(skipped).min()
    }

    /// Whether nothing would be lost by forgetting it: nobody has a place, and what it knows is old.
    /// That a link is down is remembered longer than what is known of one that is up, unless there
    /// is a crowd of them.
    pub(crate) fn is_forgettable(&self, now: Time, crowded: bool) -> bool {
        let (last, keep) = match self.phase {
            Phase::Up => (self.disturbed.unwrap_or(self.since), STABLE),
            Phase::Down { probe_at } if crowded => (probe_at, STABLE),
            Phase::Down { probe_at } => (probe_at, STALE),
            Phase::Probing { .. } | Phase::Draining { .. } => return false,
        };
        let idle = self.held() == 0 && self.applicants.is_empty();
        idle && self.failed.is_empty() && now.saturating_sub(last) >= keep
    }
}
