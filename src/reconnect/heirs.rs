//! Those who waited on a connection that has ended well: it has answered, and then it was over.
//!
//! They go on to the next connection by themselves, in the order of their calls and before all who
//! were not handed over yet. It is not in that order that they are polled; so the first one who
//! notices, be it one of them or a new caller, takes places for all.
//!
//! One whose turn comes in the very moment in which the connection ends may fall behind the next: it was
//! handed over, and does not know yet that it was too late.

use std::fmt;
use std::sync::{Arc, PoisonError};

use super::waiters::Waiters;
use crate::sync::{Mutex, MutexGuard};

/// All of them.
struct Heirs(Mutex<State>);

struct State {
    /// Oldest first. Some are dropped before there are places.
    wanted: Vec<bool>,
    places: Option<Places>,
}

/// Where they wait. (A connection may be used without any `Reconnect` or, by an odd maker, in more than
/// one.)
struct Places {
    waiters: Arc<Waiters>,
    first: u64,
}

/// One of them, or somebody who has come later. Dropping it gives the place up.
pub(crate) struct Heir {
    heirs: Arc<Heirs>,
    number: Option<usize>,
}

impl Heir {
    /// The one who comes later than all `count` of them.
    pub(crate) fn after(count: usize) -> Self {
        let state = State {
            wanted: vec![true; count],
            places: None,
        };
        Self {
            heirs: Arc::new(Heirs(Mutex::new(state))),
            number: None,
        }
    }

    /// One of them, for the one who has waited there.
    pub(crate) fn number(&self, number: usize) -> Self {
        Self {
            heirs: Arc::clone(&self.heirs),
            number: Some(number),
        }
    }

    /// Takes places for all, unless that was done.
    pub(super) fn take_places(&self, waiters: &Arc<Waiters>) {
        let mut state = self.heirs.lock();
        if state.places.is_none() {
            let first = waiters.take_first_places(&state.wanted);
            state.places = Some(Places {
                waiters: Arc::clone(waiters),
                first,
            });
        }
    }

    /// Its own place, which is the caller's from now on.
    pub(super) fn claim(&self, waiters: &Arc<Waiters>) -> Option<u64> {
        let number = self.number?;
        let mut state = self.heirs.lock();
        let places = state.places.as_ref()?;
        if !Arc::ptr_eq(&places.waiters, waiters) {
            return None;
        }
        let place = places.place(number);
        std::mem::take(&mut state.wanted[number]).then_some(place)
    }
}

impl Places {
    fn place(&self, number: usize) -> u64 {
        self.first + number as u64
    }
}

impl Heirs {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut state = self.heirs.lock();
        if !std::mem::take(&mut state.wanted[number]) {
            return;
        }
        let Some(places) = &state.places else { return };
        let (waiters, place) = (Arc::clone(&places.waiters), places.place(number));
        drop(state);
        // It wakes whoever is next.
        waiters.leave(place);
    }
}

impl fmt::Debug for Heir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Heir").field(&self.number).finish()
    }
}
