//! What is behind the table's lock.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use super::state::{Id, Line, Link, STABLE, Time};
use super::watchdog::Watchdog;
use super::{Limits, Table};
use crate::backoff::Delays;
use crate::{ConnError, Destination};

/// With more links in trouble than this, those that are down are forgotten as soon as the others.
const CROWD: usize = 1_000;

#[derive(Default)]
pub(super) struct State {
    pub(super) table: Weak<Table>,
    pub(super) links: HashMap<Destination, Entry>,
    pub(super) held: usize,
    pub(super) bytes: usize,
    /// The part of these that is in flight.
    pub(super) flying: usize,
    pub(super) flying_bytes: usize,
    /// Links that are down.
    pub(super) down: usize,
    /// Links through which a new call can't go directly.
    pub(super) shut: usize,
    /// Destinations with something in the outbox.
    pub(super) boxes: usize,
    /// Callers who wait for a place at a link that is not open. There is none for the first of them.
    pub(super) room: Line<Applicant>,
    /// Those who were given a place and have not come for it yet, and since when it is theirs.
    pub(super) given: BTreeMap<Id, (Time, Destination)>,
    /// The oldest that is waiting of each link, where it may have to make room.
    pub(super) oldest: Option<BTreeMap<Id, Destination>>,
    pub(super) next_sweep: Time,
}

/// A caller who waits for a place.
pub(super) struct Applicant {
    pub(super) waker: Option<Waker>,
    destination: Destination,
    size: usize,
    broke: u32,
    /// When it looks again by itself.
    again: Option<Time>,
}

impl Applicant {
    pub(super) fn new(to: &Destination, size: usize, broke: u32, waker: Option<Waker>) -> Self {
        Self {
            waker,
            destination: to.clone(),
            size,
            broke,
            again: None,
        }
    }
}

pub(super) struct Entry {
    pub(super) link: Link<Waker>,
    pub(super) watchdog: Option<Arc<Watchdog>>,
    /// The backoff of this outage.
    pub(super) delays: Option<Delays>,
    pub(super) last: Option<LastError>,
    /// The destination worked before the trouble began.
    pub(super) worked: bool,
}

/// The last connection error of a link.
#[derive(Clone)]
pub(crate) struct LastError {
    pub(crate) conn_error: ConnError,
    pub(crate) error: Arc<dyn Error + Send + Sync>,
}

/// What is done when the lock is no longer held.
#[derive(Default)]
pub(super) struct Effects {
    /// It happens in a task of a runtime, so that timers can be set.
    pub(super) in_task: bool,
    /// A turn may have gone from one caller to others, who may be stalled.
    pub(super) passes: bool,
    pub(super) watch: Option<Watch>,
    /// Those of other links.
    pub(super) watches: Vec<Watch>,
    pub(super) wakes: Vec<Waker>,
    /// Dropping these runs user code.
    pub(super) trash: Vec<Delays>,
    pub(super) wakers: Vec<Waker>,
    pub(super) errors: Vec<LastError>,
    /// Links that may have nobody in line but callers who wait for a place.
    pub(super) drains: Vec<Destination>,
    /// Links that were down.
    pub(super) forgotten: Vec<Destination>,
}

/// Who watches over the turns of a link, from when on, and how exactly.
pub(super) type Watch = (Arc<Watchdog>, Time, Duration);

impl State {
    /// Changes one link, and the sums over all links with it. `None` if there is no such link.
    pub(super) fn link<R>(
        &mut self,
        destination: &Destination,
        effects: &mut Effects,
        f: impl FnOnce(&mut Entry, &mut Vec<Waker>) -> R,
    ) -> Option<R> {
        let entry = self.links.get_mut(destination)?;
        let before = Share::of(&entry.link);
        let oldest_of = |entry: &Entry| entry.link.oldest_waiting();
        let oldest_before = self.oldest.as_ref().and_then(|_| oldest_of(entry));
        let result = f(entry, &mut effects.wakes);
        if let Some(at) = entry.link.overdue() {
            let watchdog = || Arc::new(Watchdog::new(self.table.clone(), destination.clone()));
            let watchdog = entry.watchdog.get_or_insert_with(watchdog);
            let watch = (watchdog.clone(), at, entry.link.patience());
            let former = effects.watch.replace(watch);
            let other = former.filter(|(former, ..)| !Arc::ptr_eq(former, watchdog));
            effects.watches.extend(other);
        }
        effects.wakers.append(&mut entry.link.old);
        if entry.link.drains_for_applicants() {
            effects.drains.push(destination.clone());
        }
        let after = Share::of(&entry.link);
        self.held = self.held - before.held + after.held;
        self.bytes = self.bytes - before.bytes + after.bytes;
        self.down = self.down - before.down + after.down;
        self.shut = self.shut - before.shut + after.shut;
        (self.flying, self.flying_bytes) = (
            self.flying - before.flying + after.flying,
            self.flying_bytes - before.flying_bytes + after.flying_bytes,
        );
        if let Some(oldest) = &mut self.oldest {
            let oldest_after = oldest_of(entry);
            if oldest_before != oldest_after {
                oldest_before.map(|id| oldest.remove(&id));
                oldest_after.map(|id| oldest.insert(id, destination.clone()));
            }
        }
        Some(result)
    }

    /// Makes room. Whether there was anything to drop.
    pub(super) fn drop_oldest(&mut self, now: Time, effects: &mut Effects) -> bool {
        let Some((_, destination)) = self.oldest.as_mut().and_then(BTreeMap::pop_first) else {
            return false;
        };
        self.link(&destination, effects, |entry, wakes| {
            entry.link.drop_oldest(now, wakes);
        });
        true
    }

    /// Has a caller wait for a place. When it has to look again by itself.
    pub(super) fn wait(
        &mut self,
        id: Id,
        mut applicant: Applicant,
        effects: &mut Effects,
    ) -> Option<Time> {
        applicant.again = self.lapses();
        let again = applicant.again;
        self.link(&applicant.destination, effects, |entry, _| {
            entry.link.apply(id);
        });
        let former = self.room.remove(id);
        effects.wakers.extend(former.and_then(|of| of.waker));
        self.room.insert(id, applicant);
        again
    }

    /// A caller does not wait for a place any more.
    pub(super) fn leave_room(
        &mut self,
        id: Id,
        now: Time,
        effects: &mut Effects,
    ) -> Option<Applicant> {
        let applicant = self.room.remove(id)?;
        self.link(&applicant.destination, effects, |entry, wakes| {
            entry.link.withdraw(id, now, wakes);
        });
        Some(applicant)
    }

    /// Gives a caller who waits for a place one. It is its own before it hears of it, so that no new call
    /// can take it.
    fn admit(&mut self, id: Id, now: Time, effects: &mut Effects) {
        let Some(of) = self.room.remove(id) else {
            return;
        };
        effects.wakes.extend(of.waker);
        self.link(&of.destination, effects, |entry, wakes| {
            entry.link.join(id, of.size, of.broke, now, wakes);
        });
        self.given.insert(id, (now, of.destination));
    }

    /// Gives one to a caller at this link, if nobody else is there for the attempt that is due.
    pub(super) fn admit_wanted(&mut self, to: &Destination, now: Time, effects: &mut Effects) {
        let entry = self.links.get(to);
        if let Some(id) = entry.and_then(|entry| entry.link.wanted(now)) {
            self.admit(id, now, effects);
        }
    }

    /// Wakes all who wait for a place.
    pub(super) fn wake_room(&mut self, effects: &mut Effects) {
        let wakers = self.room.values_mut().filter_map(|of| of.waker.take());
        effects.wakes.extend(wakers);
    }

    /// Gives those who wait a place as long as there is one for the first of them.
    pub(super) fn call_next(&mut self, now: Time, limits: &Limits, effects: &mut Effects) {
        while let Some((id, of)) = self.room.head() {
            if !limits.have_room(self.held, self.bytes, of.size) {
                break;
            }
            self.admit(id, now, effects);
        }
        while let Some(destination) = effects.drains.pop() {
            self.admit_wanted(&destination, now, effects);
        }
        // The next one has a timer, should one of those be stalled.
        let Some(lapses) = self.lapses() else {
            return;
        };
        let first = self.room.first().and_then(|id| self.room.get_mut(id));
        if let Some(first) = first.filter(|of| of.again.is_none_or(|again| again > lapses)) {
            effects.wakes.extend(first.waker.take());
        }
    }

    /// When the first of those who were given a place has let it lapse.
    fn lapses(&self) -> Option<Time> {
        let (since, destination) = self.given.values().next()?;
        let entry = self.links.get(destination);
        let patience = entry.map_or(Duration::ZERO, |entry| entry.link.patience());
        Some(since.saturating_add(patience))
    }

    /// Takes a place back that was given to one who did not come for it within a backoff step. Whether
    /// there is one.
    pub(super) fn lapse(&mut self, now: Time, effects: &mut Effects) -> bool {
        if self.lapses().is_none_or(|at| now < at) {
            return false;
        }
        if let Some((id, (_, destination))) = self.given.pop_first() {
            self.link(&destination, effects, |entry, wakes| {
                entry.link.leave(id, now, wakes);
            });
        }
        true
    }

    /// Every now and then, forgets the links of which nothing would be lost.
    pub(super) fn sweep(&mut self, now: Time, effects: &mut Effects) {
        if now < self.next_sweep {
            return;
        }
        self.next_sweep = now + STABLE;
        let crowded = self.links.len() > CROWD;
        let old = |(destination, entry): (&Destination, &Entry)| {
            entry
                .link
                .is_forgettable(now, crowded)
                .then(|| destination.clone())
        };
        let old: Vec<_> = self.links.iter().filter_map(old).collect();
        for destination in old {
            if let Some(entry) = self.links.remove(&destination) {
                let share = Share::of(&entry.link);
                self.down -= share.down;
                self.shut -= share.shut;
                if share.down > 0 {
                    effects.forgotten.push(destination);
                }
                effects.trash.extend(entry.delays);
                effects.errors.extend(entry.last);
            }
        }
    }
}

/// What one link contributes to the sums over all.
struct Share {
    held: usize,
    bytes: usize,
    flying: usize,
    flying_bytes: usize,
    down: usize,
    shut: usize,
}

impl Share {
    pub(super) fn of(link: &Link<Waker>) -> Self {
        let (flying, flying_bytes) = link.in_flight();
        Self {
            held: link.held(),
            bytes: link.held_bytes(),
            flying,
            flying_bytes,
            down: usize::from(!link.is_up()),
            shut: usize::from(!link.is_open()),
        }
    }
}
