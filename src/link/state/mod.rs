//! The state machine of one link. It has no clock, no waker and no I/O: the time comes in as a
//! number, and whom to wake goes out as a list.
#![doc = include_str!("diagram.md")]

mod line;
mod pace;
mod room;
mod turns;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

pub(crate) use line::Line;
pub(crate) use pace::STABLE;

use crate::Reason;
use crate::backoff::FIRST_STEP;

/// Time since the table's epoch.
pub(crate) type Time = Duration;

/// A call: its number in the order of first calls.
pub(crate) type Id = u64;

/// A link that is down is forgotten when nobody has called for so long after its probe was due.
const STALE: Duration = Duration::from_secs(600);

/// After so many replays that broke a connection, the head of the backlog is passed over once.
const POISONOUS: u32 = 3;

/// Where order is strict, how long the backlog waits after a connection broke for the others that
/// broke with it. They have heard of it, but each is replayed by a task of its own.
const GATHER: Duration = Duration::from_millis(20);

/// The shared state of one destination. `W` is what it takes to wake a waiter.
pub(crate) struct Link<W> {
    phase: Phase,
    /// When it last went up or down.
    since: Time,
    /// The last connection error, or recovery.
    disturbed: Option<Time>,
    /// How many of the backlog were answered, as far as no outage has used that up.
    credit: u32,
    /// The backoff's last delay.
    delay: Duration,
    /// It went down, and its next delay is still to be drawn.
    awaits_delay: bool,
    /// The peer does not want to be probed earlier.
    not_before: Time,
    /// When the last probe began.
    probed: Option<Time>,
    /// How many probes in a row were handed over because their callers had gone.
    handed_over: u32,
    /// Attempts in this outage.
    attempts: u32,
    /// Held requests without an attempt in flight, oldest first.
    waiting: Line<Waiter<W>>,
    /// Those that did not take their turn in time. Each comes back when it is polled.
    skipped: BTreeMap<Id, Waiter<W>>,
    /// Held requests with an attempt in flight.
    flying: HashMap<Id, Flight>,
    /// Those of them, of this probe or drain, whose callers were woken and have not come yet.
    woken: BTreeSet<(Time, Id)>,
    /// Verdicts that their waiters have not heard yet.
    failed: HashMap<Id, Reason>,
    bytes: usize,
    /// The part of them that is in flight.
    flying_bytes: usize,
    /// Those who wait until there is a place for them. They come before new calls, too.
    applicants: Line<()>,
    /// The two in line who have timers, and what they were told, or will be when they ask: whoever
    /// has to be told something else is woken.
    told: [Option<(Id, Answer)>; 2],
    /// How many outages are over.
    recoveries: u64,
    /// The head was passed over last time, so it is its turn.
    head_next: bool,
    /// The head was passed over, and the other one got through. If it breaks a connection now, it is
    /// poison; if not, it was the path.
    suspect: Option<Id>,
    /// What woke waiters who are gone or have another waker now. Dropping a waker can run anything.
    pub(super) old: Vec<W>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    Up,
    Down {
        probe_at: Time,
    },
    Probing {
        by: Id,
        /// When the probe counts as abandoned.
        until: Option<Time>,
        /// The head that was passed over.
        instead_of: Option<Id>,
    },
    Draining {
        /// How many may be in flight.
        window: usize,
        /// How many are.
        flying: usize,
        turn: Option<Turn>,
        /// When the last one of them counts as abandoned.
        until: Option<Time>,
        /// The one that has been the only one so far.
        alone: Option<Id>,
    },
}

/// Whose attempt is next in the drain.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Turn {
    of: Id,
    given: Time,
    /// It has been polled since, and is about to call.
    taken: bool,
}

struct Flight {
    size: usize,
    /// It takes a place in the window of the drain after this recovery.
    recovery: u64,
    /// Others of the drain were in flight meanwhile, perhaps on the same connection.
    in_company: bool,
    /// When its caller was woken who has not come yet.
    woken: Option<Time>,
}

struct Waiter<W> {
    wake: Option<W>,
    size: usize,
    broke: u32,
}

/// What a waiter is told when it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Make an attempt, then say [`Link::called`].
    Go { probe: bool },
    /// Wait without a timer.
    Wait,
    /// Wait, and ask again at this time; have a timer for the own deadline too.
    Watch(Option<Time>),
    /// End with this reason.
    Fail(Reason),
}

/// An attempt that failed with a connection error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failed {
    /// When it began.
    pub(crate) began: Time,
    /// The peer wants no other attempt until then.
    pub(crate) not_before: Time,
    /// It was of a kind that says that one connection broke (rule 3).
    pub(crate) breaks: bool,
    /// The request itself may have broken it: it was perhaps sent.
    pub(crate) blamed: bool,
    /// It was the immediate replay after a broken connection.
    pub(crate) immediate: bool,
    /// Nothing is replayed at once, so that all is replayed in order.
    pub(crate) in_order: bool,
    /// The request is to be replayed.
    pub(crate) stays: bool,
    /// The budget pays for an immediate replay.
    pub(crate) paid: bool,
    /// How many of this request's replays broke a connection.
    pub(crate) broke: u32,
}

/// What follows from a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum After {
    /// The link stays up. Replay at once, if the request is to be replayed.
    StillUp,
    /// The link is down and needs the next delay of its backoff, of a fresh sequence if `fresh`.
    WentDown { fresh: bool },
    /// The link is down for the moment, until those that broke together are in line.
    Gathers,
    /// The link stays up; the request breaks connections where another one does not.
    Poisoned,
    /// The link was down already, or has been since; this failure tells nothing new.
    Late,
}

impl<W> Link<W> {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            phase: Phase::Up,
            since: now,
            disturbed: None,
            credit: 0,
            delay: FIRST_STEP,
            awaits_delay: false,
            not_before: Time::ZERO,
            probed: None,
            handed_over: 0,
            attempts: 0,
            waiting: Line::default(),
            skipped: BTreeMap::new(),
            flying: HashMap::new(),
            woken: BTreeSet::new(),
            failed: HashMap::new(),
            bytes: 0,
            flying_bytes: 0,
            applicants: Line::default(),
            told: [None, None],
            recoveries: 0,
            head_next: false,
            suspect: None,
            old: Vec::new(),
        }
    }

    /// A request that has no place yet joins the backlog, at the place of its number.
    pub(crate) fn join(&mut self, id: Id, size: usize, broke: u32, now: Time, wakes: &mut Vec<W>) {
        self.applicants.remove(id);
        self.bytes += size;
        let wake = None;
        self.waiting.insert(id, Waiter { wake, size, broke });
        self.settle(now, wakes);
    }

    /// A waiter asks whether it is its turn. An attempt that it starts now is over at `ends`.
    pub(crate) fn ask(
        &mut self,
        id: Id,
        now: Time,
        ends: Option<Time>,
        wake: W,
        wakes: &mut Vec<W>,
    ) -> Answer {
        if let Some(reason) = self.failed.remove(&id) {
            return Answer::Fail(reason);
        }
        if self.start_unheld(id, ends) {
            return Answer::Go { probe: true };
        }
        if let Some(waiter) = self.skipped.remove(&id) {
            self.waiting.insert(id, waiter);
            self.settle(now, wakes);
        }
        if self.take_turn(id, now) {
            self.start(id, now, ends);
            let probe = !self.is_up();
            self.settle(now, wakes);
            return Answer::Go { probe };
        }
        if !self.waiting.contains(id) {
            return self.without_place();
        }
        self.settle(now, wakes);
        if let Some(waiter) = self.waiting.get_mut(id) {
            self.old.extend(waiter.wake.replace(wake));
        }
        self.alarm(id)
    }

    /// The attempt that was let [go](Answer::Go) has called the service.
    pub(crate) fn called(&mut self, id: Id, now: Time, wakes: &mut Vec<W>) {
        self.give_back_turn(id);
        self.settle(now, wakes);
    }

    /// An attempt with a place ended well: the place is free.
    pub(crate) fn succeeded(&mut self, id: Id, now: Time, wakes: &mut Vec<W>) {
        self.give_credit();
        self.land(id);
        match &mut self.phase {
            Phase::Probing { by, instead_of, .. } if *by == id => {
                // It is the first in the drain now, and alone in its window.
                self.suspect = *instead_of;
                self.recover(now);
            }
            Phase::Draining { window, .. } => *window = window.saturating_mul(2),
            _ => {}
        }
        self.give_back_turn(id);
        self.settle(now, wakes);
    }

    /// An attempt with a place ended with an error that says nothing against the connection: the
    /// place is free.
    pub(crate) fn answered(&mut self, id: Id, now: Time, wakes: &mut Vec<W>) {
        self.land(id);
        if matches!(self.phase, Phase::Probing { by, .. } if by == id) {
            self.recover(now);
        }
        self.give_back_turn(id);
        self.settle(now, wakes);
    }

    /// An attempt, with a place or without, failed with a connection error. If it has a place and
    /// stays, it goes back to it unless it is replayed at once; if it does not stay, its place is
    /// free.
    pub(crate) fn failed(&mut self, id: Id, how: Failed, now: Time, wakes: &mut Vec<W>) -> After {
        let quiet = self
            .disturbed
            .is_none_or(|last| now.saturating_sub(last) >= STABLE);
        let poison = self.suspect == Some(id) && how.blamed;
        let after = match self.phase {
            Phase::Up | Phase::Draining { .. } if poison => After::Poisoned,
            // It is about the connections of before the recovery.
            Phase::Up | Phase::Draining { .. } if self.recoveries > 0 && how.began < self.since => {
                After::Late
            }
            Phase::Up | Phase::Draining { .. } => {
                self.disturbed = Some(now);
                let one_connection = how.breaks && !how.immediate;
                if one_connection && !(how.stays && (how.in_order || !how.paid)) {
                    After::StillUp
                } else {
                    self.since = now;
                    self.attempts = 0;
                    self.head_next = false;
                    if quiet {
                        self.delay = FIRST_STEP;
                        self.credit = 0;
                    }
                    match one_connection && how.in_order {
                        true => After::Gathers,
                        false => After::WentDown {
                            fresh: quiet || self.spend_credit(),
                        },
                    }
                }
            }
            Phase::Probing { by, instead_of, .. } if by == id => {
                self.disturbed = Some(now);
                self.handed_over = 0;
                self.head_next = instead_of.is_some();
                After::WentDown { fresh: false }
            }
            Phase::Probing { .. } | Phase::Down { .. } => After::Late,
        };
        let pause = match after {
            // Until the backoff has said more.
            After::WentDown { .. } => Some(self.delay.max(FIRST_STEP)),
            After::Gathers => Some(GATHER),
            After::StillUp | After::Poisoned | After::Late => None,
        };
        if let Some(pause) = pause {
            let probe_at = now.saturating_add(pause);
            self.phase = Phase::Down { probe_at };
            self.woken.clear();
            self.awaits_delay = matches!(after, After::WentDown { .. });
        }
        if !self.is_up() {
            self.not_before = self.not_before.max(how.not_before);
        }
        if let Phase::Down { probe_at } = &mut self.phase {
            *probe_at = self.not_before.max(*probe_at);
        }
        let stays = how.stays && after != After::Poisoned;
        if after != After::StillUp || !stays {
            self.give_back_turn(id);
            if let Some(size) = self.land(id).filter(|_| stays) {
                self.join(id, size, how.broke, now, wakes);
            }
        }
        self.settle(now, wakes);
        after
    }

    /// A request gives up its place: cancelled, expired, or in a panic.
    pub(crate) fn leave(&mut self, id: Id, now: Time, wakes: &mut Vec<W>) {
        self.failed.remove(&id);
        self.land(id);
        if let Some(waiter) = self.waiting.remove(id).or_else(|| self.skipped.remove(&id)) {
            self.bytes -= waiter.size;
            self.old.extend(waiter.wake);
        }
        self.suspect.take_if(|suspect| *suspect == id);
        self.give_back_turn(id);
        if matches!(self.phase, Phase::Probing { by, .. } if by == id) {
            let probe_at = self.not_before.max(now).max(self.hand_over());
            self.phase = Phase::Down { probe_at };
        }
        self.settle(now, wakes);
    }
}

#[cfg(test)]
mod scripts;
