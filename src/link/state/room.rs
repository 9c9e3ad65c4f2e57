//! Those for whom there is no place in the backlog.

use super::{Answer, Id, Link, Phase, Time};
use crate::Reason;

impl<W> Link<W> {
    /// Makes room: the oldest that is waiting fails.
    pub(crate) fn drop_oldest(&mut self, now: Time, wakes: &mut Vec<W>) {
        if let Some(oldest) = self.oldest_waiting() {
            self.give_back_turn(oldest);
            self.fail_waiter(oldest, Reason::QueueFull, wakes);
            self.settle(now, wakes);
        }
    }

    /// A request waits until there is a place for it.
    pub(crate) fn apply(&mut self, id: Id) {
        if !self.applicants.contains(id) {
            self.applicants.insert(id, ());
        }
    }

    /// It does so no longer.
    pub(crate) fn withdraw(&mut self, id: Id, now: Time, wakes: &mut Vec<W>) {
        self.applicants.remove(id);
        self.settle(now, wakes);
    }

    /// The applicant who has to get a place although there is none, because nobody else is there to
    /// make the attempt that is due: other links have taken all places, or stalled callers.
    pub(crate) fn wanted(&self, now: Time) -> Option<Id> {
        let first = self.applicants.first();
        first.filter(|_| self.waiting.is_empty() && (self.is_drained() || self.is_due(now)))
    }

    /// It would be open but for those who wait for a place.
    pub(crate) fn drains_for_applicants(&self) -> bool {
        self.is_drained() && !self.applicants.is_empty()
    }

    fn is_drained(&self) -> bool {
        let idle = matches!(
            self.phase,
            Phase::Draining {
                turn: None,
                flying: 0,
                ..
            }
        );
        idle && self.waiting.is_empty()
    }

    /// The next attempt may begin, be it because those in flight are abandoned.
    fn is_due(&self, now: Time) -> bool {
        let [due, _] = self.due();
        due.is_some_and(|at| now >= at)
    }

    /// A request that can't be held makes the probe, if one is due and nobody else is there to make it.
    /// It is not held if that fails.
    pub(crate) fn probe_unheld(&mut self, id: Id, now: Time) -> bool {
        if self.is_up() || !self.waiting.is_empty() || !self.is_due(now) {
            return false;
        }
        let until = now.saturating_add(self.patience());
        self.begin_probe(id, now, Some(until), None);
        true
    }

    /// That one starts, if this is it. Its attempt is over at `ends`.
    pub(super) fn start_unheld(&mut self, id: Id, ends: Option<Time>) -> bool {
        let patience = self.patience();
        match &mut self.phase {
            Phase::Probing { by, until, .. } if *by == id && !self.flying.contains_key(&id) => {
                *until = ends.map(|at| at.saturating_add(patience));
                true
            }
            _ => false,
        }
    }

    /// It came too late for that.
    pub(super) fn without_place(&self) -> Answer {
        match self.phase {
            Phase::Up => Answer::Go { probe: false },
            _ => Answer::Fail(Reason::QueueFull),
        }
    }
}
