use std::sync::Arc;
use std::task::Waker;

use super::entries::Applicant;
use super::state::Id;
use super::{Place, Room, Table, WhenFull};
use crate::Destination;

/// What a request gets that wants to be held.
pub(crate) enum Hold {
    /// The link is open: make an attempt.
    Open,
    /// It is in the backlog.
    Held(Place),
    /// It is not, but it makes the probe.
    Probe(Place),
    /// It waits for a place in the backlog.
    Room(Room),
    /// There is no place for it.
    Full,
}

impl Table {
    /// A request wants to be held until its turn. `waker` is for the case that it has to wait for a
    /// place first. An outbox's own requests are not bounded here.
    pub(crate) fn hold(
        self: &Arc<Self>,
        destination: &Destination,
        id: Id,
        size: usize,
        broke: u32,
        mut waker: Option<Waker>,
        owned: bool,
    ) -> Hold {
        let limits = &self.config().limits;
        let held = self.run(|state, now, effects| {
            effects.in_task = waker.is_some();
            state.sweep(now, effects);
            let place = || Place::new(self.clone(), destination.clone(), id);
            match state.links.get(destination) {
                // It waited for a place, and was given one.
                Some(entry) if entry.link.has(id) => {
                    state.given.remove(&id);
                    return Hold::Held(place());
                }
                Some(entry) if !entry.link.is_open() => {}
                _ => return Hold::Open,
            }
            let room = |held, bytes| owned || limits.have_room(held, bytes, size);
            let wait = !owned && self.config().when_full == WhenFull::Wait && room(0, 0);
            if wait {
                while state.lapse(now, effects) {}
                let first = state.room.first().is_none_or(|first| id < first);
                if !first || !room(state.held, state.bytes) {
                    let applicant = Applicant::new(destination, size, broke, waker.take());
                    let again = state.wait(id, applicant, effects);
                    state.admit_wanted(destination, now, effects);
                    let room = Room::new(self.clone(), destination.clone(), id, again);
                    return Hold::Room(room);
                }
            } else if self.config().when_full == WhenFull::DropOldest
                && room(state.flying, state.flying_bytes)
            {
                while !room(state.held, state.bytes) && state.drop_oldest(now, effects) {}
            }
            if !room(state.held, state.bytes) {
                let probes = state.link(destination, effects, |entry, _| {
                    entry.link.probe_unheld(id, now)
                });
                return match probes {
                    Some(true) => Hold::Probe(Place::unheld(self.clone(), destination.clone(), id)),
                    _ => Hold::Full,
                };
            }
            state.link(destination, effects, |entry, wakes| {
                entry.link.join(id, size, broke, now, wakes);
            });
            Hold::Held(place())
        });
        if let (Hold::Held(_), Some(observer)) = (&held, &self.config().observer) {
            observer.held(destination);
        }
        held
    }
}
