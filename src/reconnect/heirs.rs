//! Those who waited on a connection that has ended well: it has answered, or its last caller's
//! own body has failed, and then it was over.
//!
//! They go on to the next connection by themselves, in the order of their calls and before all who
//! were not handed over yet. It is not in that order that they are polled; so the first one who
//! notices, be it one of them or a new caller, takes places for all.
//!
//! So does one whose turn comes in the very moment in which the connection ends: it was handed over, and
//! does not know yet that it was too late. It counts from its call on.

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
    of: Vec<u64>,
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

    /// The last of them: the connection was over when it was called. (Where it was noticed before, whoever
    /// noticed it may go first.)
    pub(crate) fn late(&self) -> Self {
        let mut state = self.heirs.lock();
        let State { wanted, places } = &mut *state;
        if let Some(places) = places {
            places.of.push(places.waiters.take_last_place());
        }
        wanted.push(true);
        self.number(wanted.len() - 1)
    }

    /// Takes places for all, unless that was done.
    pub(super) fn take_places(&self, waiters: &Arc<Waiters>) {
        let mut state = self.heirs.lock();
        if state.places.is_none() {
            let first = waiters.take_first_places(&state.wanted);
            state.places = Some(Places {
                waiters: Arc::clone(waiters),
                of: (first..).take(state.wanted.len()).collect(),
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
        let place = places.of[number];
        std::mem::take(&mut state.wanted[number]).then_some(place)
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
        let Some(places) = &state.places else {
            // So that it does not grow where a dead connection is called again and again.
            while state.wanted.last() == Some(&false) {
                state.wanted.pop();
            }
            return;
        };
        let (waiters, place) = (Arc::clone(&places.waiters), places.of[number]);
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

#[cfg(all(test, feature = "hyper-conn"))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use std::task::{Context, Poll};

    use tower::service_fn;
    use tower_service::Service;

    use super::*;
    use crate::http::connection::ConnectionClosed;
    use crate::{Reconnect, Unsent};

    /// Takes so many calls, and is over when the next one comes.
    #[derive(Clone)]
    struct Connection(Arc<Mutex<Of>>);

    struct Of {
        takes: usize,
        closed: Option<ConnectionClosed>,
        taken: Arc<Mutex<Vec<u64>>>,
    }

    impl Service<u64> for Connection {
        type Response = ();
        type Error = Unsent<u64>;
        type Future = Ready<Result<(), Unsent<u64>>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unsent<u64>>> {
            Poll::Ready(match &self.0.lock().unwrap().closed {
                None => Ok(()),
                Some(closed) => Err(Unsent::new(u64::MAX, closed.clone())),
            })
        }

        fn call(&mut self, number: u64) -> Self::Future {
            let mut of = self.0.lock().unwrap();
            if of.takes == 0 {
                let closed = of.closed.get_or_insert_with(|| ConnectionClosed::well(0));
                return ready(Err(Unsent::new(number, closed.for_late())));
            }
            of.takes -= 1;
            of.taken.lock().unwrap().push(number);
            ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn who_is_too_late_keeps_its_turn() {
        let taken = Arc::<Mutex<Vec<u64>>>::default();
        let (mut lives, log) = ([1, 9].into_iter(), taken.clone());
        let mut service = Reconnect::new(service_fn(move |()| {
            let of = Of {
                takes: lives.next().unwrap(),
                closed: None,
                taken: log.clone(),
            };
            ready(Ok::<_, Infallible>(Connection(Arc::new(Mutex::new(of)))))
        }));
        service.call(0).await.unwrap();
        // Refused, but it has not heard of it when the next one comes, who is polled first.
        let late = service.call(1);
        let next = service.call(2);
        let (next, late) = tokio::join!(next, late);
        next.and(late).unwrap();
        assert_eq!(*taken.lock().unwrap(), [0, 1, 2]);
    }

    #[test]
    fn a_dead_connection_that_is_called_again_and_again_does_not_grow() {
        let after = Heir::after(0);
        for _ in 0..10 {
            let (first, second) = (after.late(), after.late());
            drop(first);
            drop(second);
        }
        assert_eq!(after.heirs.lock().wanted.len(), 0);
    }
}
