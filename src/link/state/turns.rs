//! Whose turn it is.

use std::time::Duration;

use super::{Answer, Flight, GATHER, Id, Link, POISONOUS, Phase, Time, Turn};
use crate::Reason;
use crate::backoff::{FIRST_STEP, MIN_DELAY};

/// So many probes in a row are handed over at once.
const AT_ONCE: u32 = 3;

/// The longest pause after a probe that was handed over, unless the backoff's is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl<W> Link<W> {
    pub(super) fn recover(&mut self, now: Time) {
        self.phase = Phase::Draining {
            window: 1,
            flying: 0,
            turn: None,
            until: None,
            alone: None,
        };
        self.recoveries += 1;
        self.handed_over = 0;
        self.woken.clear();
        self.since = now;
        self.disturbed = Some(now);
        self.not_before = Time::ZERO;
    }

    /// Something says that the network is back: probe now, or when the shortest delay since the last
    /// probe is over. Whether the link is down.
    pub(crate) fn wake(&mut self, now: Time, wakes: &mut Vec<W>) -> bool {
        if self.is_up() {
            return false;
        }
        self.delay = FIRST_STEP;
        self.awaits_delay = false;
        self.handed_over = 0;
        self.not_before = Time::ZERO;
        let earliest = self.probed.map(|probed| probed.saturating_add(MIN_DELAY));
        if let Phase::Down { probe_at } = &mut self.phase {
            *probe_at = earliest.map_or(now, |earliest| earliest.max(now));
        }
        self.settle(now, wakes);
        true
    }

    /// When both in line, who have timers, have let a turn pass while others wait behind them.
    pub(crate) fn overdue(&self) -> Option<Time> {
        let [_, overdue] = self.due();
        let others = self.waiting.len() > 2 || !self.applicants.is_empty();
        let overdue = overdue.filter(|_| others)?;
        Some(overdue.saturating_add(self.patience()))
    }

    /// If [that](Self::overdue) has come to pass, the turn goes to those behind them.
    pub(crate) fn pass_on(&mut self, now: Time, wakes: &mut Vec<W>) {
        let Some(overdue) = self.overdue() else {
            return;
        };
        // Else the turn is a new one, and who should have asked since has not.
        if now >= overdue {
            self.line().into_iter().for_each(|id| self.skip(id));
            match &mut self.phase {
                Phase::Down { probe_at } => *probe_at = now,
                Phase::Draining { turn, .. } => *turn = None,
                Phase::Up | Phase::Probing { .. } => {}
            }
        }
        self.settle(now, wakes);
        // Whoever of them is not stalled asks, and then it is watched again.
        let all = self.waiting.values_mut();
        wakes.extend(all.filter_map(|waiter| waiter.wake.take()));
    }

    /// How long a turn is kept for a waiter who does not take it.
    pub(crate) fn patience(&self) -> Duration {
        self.delay.max(FIRST_STEP)
    }

    /// The one whose turn it is or will be, and the next in line.
    pub(super) fn line(&self) -> [Option<Id>; 2] {
        let first = match self.phase {
            Phase::Down { .. } => self.candidate(),
            Phase::Draining {
                turn: Some(turn), ..
            } if !turn.taken => Some(turn.of),
            _ => self.waiting.first(),
        };
        let second = self.ids().find(|id| Some(*id) != first);
        [first, second]
    }

    fn ids(&self) -> impl Iterator<Item = Id> {
        self.waiting.iter().map(|(id, _)| id)
    }

    /// Who makes the next probe: the head, or in its place another if the head's replays broke the
    /// connection.
    pub(super) fn candidate(&self) -> Option<Id> {
        let mut line = self.waiting.iter();
        let (head, waiter) = line.next()?;
        if waiter.broke < POISONOUS || self.head_next {
            return Some(head);
        }
        let second = self.ids().nth(1);
        let harmless = line.take(8).find(|(_, waiter)| waiter.broke < POISONOUS);
        harmless.map(|(id, _)| id).or(second).or(Some(head))
    }

    pub(super) fn take_turn(&mut self, id: Id, now: Time) -> bool {
        if self.phase == Phase::Up {
            return self.waiting.contains(id);
        }
        let Answer::Watch(Some(due)) = self.alarm(id) else {
            return false;
        };
        if now < due {
            return false;
        }
        let [first, _] = self.line();
        if first != Some(id) {
            self.skip(first);
        }
        if self.stalled().is_some_and(|at| now >= at) {
            self.abandon_stalled();
        }
        true
    }

    /// An attempt in flight has something to say, and its caller was woken to hear it. If it does not
    /// come within a backoff step, it is stalled, and the turn passes on.
    pub(crate) fn woken(&mut self, id: Id, now: Time, wakes: &mut Vec<W>) {
        let of_now = |flight: &Flight| match self.phase {
            Phase::Probing { by, .. } => by == id,
            Phase::Draining { .. } => flight.recovery == self.recoveries,
            Phase::Up | Phase::Down { .. } => false,
        };
        let flight = self.flying.get_mut(&id);
        if let Some(flight) = flight.filter(|flight| of_now(flight) && flight.woken.is_none()) {
            flight.woken = Some(now);
            self.woken.insert((now, id));
            self.settle(now, wakes);
        }
    }

    /// The caller of an attempt in flight has come, whatever for.
    pub(crate) fn polled(&mut self, id: Id, now: Time, wakes: &mut Vec<W>) {
        if let Some(flight) = self.flying.get_mut(&id) {
            if let Some(at) = flight.woken.take() {
                self.woken.remove(&(at, id));
                self.settle(now, wakes);
            }
        }
    }

    /// A probe that is not under way waits for others who have not heard yet that a connection broke.
    pub(crate) fn postpone_probe(&mut self, now: Time, wakes: &mut Vec<W>) {
        if let Phase::Down { probe_at } = &mut self.phase {
            *probe_at = (*probe_at).max(now.saturating_add(GATHER));
        }
        self.settle(now, wakes);
    }

    /// When the attempts in flight, if all their callers were woken and do not come, are waited for
    /// no longer.
    fn stalled(&self) -> Option<Time> {
        let in_flight = match self.phase {
            Phase::Up | Phase::Down { .. } => return None,
            Phase::Probing { .. } => 1,
            Phase::Draining { flying, .. } => flying,
        };
        let (woken, _) = self.woken.first()?;
        let until = woken.saturating_add(self.patience());
        (self.woken.len() >= in_flight).then(|| until.max(self.not_before))
    }

    /// The one that was woken first takes no place in the window any more.
    fn abandon_stalled(&mut self) {
        let Some((_, id)) = self.woken.pop_first() else {
            return;
        };
        if let (Phase::Draining { flying, alone, .. }, Some(flight)) =
            (&mut self.phase, self.flying.get_mut(&id))
        {
            *flying = flying.saturating_sub(1);
            *alone = None;
            flight.recovery = 0;
        }
    }

    /// A probe is handed over: from when on the next one may begin. If one after the other is, their
    /// callers may all have lost their patience with a peer that is silent, so there is a pause then, as
    /// after probes that fail.
    pub(super) fn hand_over(&mut self) -> Time {
        let beyond = self.handed_over.saturating_sub(AT_ONCE);
        self.handed_over = self.handed_over.saturating_add(1);
        if self.handed_over <= AT_ONCE {
            return Time::ZERO;
        }
        let pause = self.patience();
        let longer = pause.saturating_mul(1 << beyond.min(10));
        let pause = longer.min(LONGEST_PAUSE).max(pause);
        self.probed
            .map_or(Time::ZERO, |at| at.saturating_add(pause))
    }

    /// What `id` is told when it asks and it is not its turn yet.
    pub(super) fn alarm(&self, id: Id) -> Answer {
        let [first, second] = self.line();
        let [own, overdue] = self.due();
        if first == Some(id) {
            Answer::Watch(own)
        } else if second == Some(id) {
            Answer::Watch(overdue)
        } else {
            Answer::Wait
        }
    }

    /// When the first in line may go, and when the second may go in its place.
    pub(super) fn due(&self) -> [Option<Time>; 2] {
        let patience = self.patience();
        let later = |at: Option<Time>| at.map(|at| at.saturating_add(patience));
        match self.phase {
            Phase::Up => [None, None],
            Phase::Down { probe_at } => [Some(probe_at), Some(probe_at.saturating_add(patience))],
            Phase::Probing { until, .. } => {
                let until = earlier(until, self.stalled());
                [until, later(until)]
            }
            Phase::Draining {
                turn: Some(turn), ..
            } if !turn.taken => [Some(turn.given), Some(turn.given.saturating_add(patience))],
            // The window is full, or the last one is about to call.
            Phase::Draining { until, .. } => {
                let until = earlier(until, self.stalled());
                [until, later(until)]
            }
        }
    }

    pub(super) fn start(&mut self, id: Id, now: Time, ends: Option<Time>) {
        let head = self.waiting.first();
        let abandoned = ends.map(|at| at.saturating_add(self.patience()));
        if let Some(waiter) = self.waiting.remove(id) {
            self.old.extend(waiter.wake);
            let flight = Flight {
                size: waiter.size,
                recovery: self.recoveries,
                in_company: false,
                woken: None,
            };
            self.flying_bytes += flight.size;
            self.flying.insert(id, flight);
        }
        match &mut self.phase {
            Phase::Down { .. } | Phase::Probing { .. } => {
                let instead_of = head.filter(|head| *head != id);
                self.begin_probe(id, now, abandoned, instead_of);
            }
            Phase::Draining {
                flying,
                turn,
                until,
                alone,
                ..
            } => {
                let (of, given, taken) = (id, now, true);
                *turn = Some(Turn { of, given, taken });
                *until = abandoned;
                let other = alone.replace(id);
                if *flying > 0 {
                    *alone = None;
                    for id in other.into_iter().chain([id]) {
                        if let Some(flight) = self.flying.get_mut(&id) {
                            flight.in_company = true;
                        }
                    }
                }
                *flying += 1;
            }
            Phase::Up => {}
        }
    }

    /// A probe begins, and whatever is under way is none any more. It counts as abandoned after `until`.
    pub(super) fn begin_probe(
        &mut self,
        by: Id,
        now: Time,
        until: Option<Time>,
        instead_of: Option<Id>,
    ) {
        self.woken.clear();
        self.attempts = self.attempts.saturating_add(1);
        self.probed = Some(now);
        self.phase = Phase::Probing {
            by,
            until,
            instead_of,
        };
    }

    pub(super) fn skip(&mut self, id: Option<Id>) {
        if let Some((id, waiter)) = id.and_then(|id| Some((id, self.waiting.remove(id)?))) {
            self.skipped.insert(id, waiter);
        }
    }

    pub(super) fn land(&mut self, id: Id) -> Option<usize> {
        self.suspect.take_if(|suspect| *suspect == id);
        let flight = self.flying.remove(&id)?;
        self.bytes -= flight.size;
        self.flying_bytes -= flight.size;
        if let Some(at) = flight.woken {
            self.woken.remove(&(at, id));
        }
        if let Phase::Draining { flying, .. } = &mut self.phase {
            if flight.recovery == self.recoveries {
                *flying = flying.saturating_sub(1);
            }
        }
        Some(flight.size)
    }

    /// Whether no other attempt of its drain was in flight at any time of this one.
    pub(crate) fn was_alone(&self, id: Id) -> bool {
        self.flying.get(&id).is_none_or(|flight| !flight.in_company)
    }

    pub(super) fn give_back_turn(&mut self, id: Id) {
        if let Phase::Draining { turn, .. } = &mut self.phase {
            if turn.is_some_and(|turn| turn.of == id) {
                *turn = None;
            }
        }
    }

    pub(super) fn fail_waiter(&mut self, id: Id, reason: Reason, wakes: &mut Vec<W>) {
        if let Some(waiter) = self.waiting.remove(id).or_else(|| self.skipped.remove(&id)) {
            self.bytes -= waiter.size;
            self.failed.insert(id, reason);
            wakes.extend(waiter.wake);
        }
    }

    /// Gives the next turn of a drain, ends a drain, and wakes those who have to be told something
    /// new. Ends every change.
    pub(super) fn settle(&mut self, now: Time, wakes: &mut Vec<W>) {
        if let Phase::Draining {
            window,
            flying,
            turn: turn @ None,
            ..
        } = &mut self.phase
        {
            match self.waiting.first() {
                None if self.applicants.is_empty() => {
                    self.phase = Phase::Up;
                    let skipped = self.skipped.values_mut();
                    wakes.extend(skipped.filter_map(|waiter| waiter.wake.take()));
                }
                Some(next) if flying < window => {
                    let (of, given, taken) = (next, now, false);
                    *turn = Some(Turn { of, given, taken });
                }
                _ => {}
            }
        }
        let told = self.line().map(|id| id.map(|id| (id, self.alarm(id))));
        for (id, answer) in told.into_iter().flatten() {
            if !self.told.contains(&Some((id, answer))) {
                wakes.extend(
                    self.waiting
                        .get_mut(id)
                        .and_then(|waiter| waiter.wake.take()),
                );
            }
        }
        self.told = told;
    }
}

fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    one.into_iter().chain(other).min()
}
