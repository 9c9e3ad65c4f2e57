use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::Instant;
use tower_service::Service;

use super::attempt::Attempt;
use super::calls::{Calls, Generation};
use super::closed::{heir, is_ordered};
use super::hearing::Hearing;
use super::heirs::Heir;
use super::lease::Lease;
use super::life::Limits;
use super::line::Line;
use super::waiter::Waiter;
use super::waiters::{SharedError, Waiters};
use crate::sync::{Mutex, MutexGuard};
use crate::{BoxError, ConnectError, NotSent};

/// For how long at most a caller lets those go first who came before it. They have been woken; but
/// they may have been dropped without a trace, or never be polled again.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// For how long a connection is the one that its waiters waited for. Who comes later finds one like
/// any other, which may be too old, or long dead.
const FRESH: Duration = Duration::from_secs(1);

/// What all clones share: the connection, or the one attempt to make it.
pub(super) struct Shared<M: Service<T>, T> {
    state: Mutex<State<M, T>>,
    pub(super) waiters: Arc<Waiters>,
}

struct State<M: Service<T>, T> {
    live: Option<Live<M, T>>,
    limits: Limits,
    /// The last connection that was found dead.
    fallen: Option<Fallen>,
    /// `None` while somebody polls it: no lock is held then.
    attempt: Option<Attempt<M, T>>,
}

struct Live<M: Service<T>, T> {
    conn: M::Response,
    /// Tells the connections apart, so that a late failure on an old one can't end a new one. All
    /// calls on the connection hold it too.
    generation: Generation<M, T>,
    made: Instant,
}

impl<M: Service<T>, T> State<M, T> {
    fn is_live(&self, line: &Arc<Line>) -> bool {
        let live = self.live.as_ref();
        live.is_some_and(|live| Arc::ptr_eq(&live.generation.line, line))
    }

    /// The connection, which is not handed out again. To be dropped without the lock.
    fn end(&mut self, line: &Arc<Line>) -> Option<Live<M, T>> {
        match self.is_live(line) {
            true => self.live.take(),
            false => None,
        }
    }

    /// Ends a connection that is too old, or was idle for too long.
    fn end_if_expired(&mut self) -> Option<Live<M, T>> {
        self.live.take_if(|live| live.is_expired())
    }
}

impl<M: Service<T>, T> Live<M, T> {
    #[inline]
    fn is_expired(&self) -> bool {
        // One is ours.
        let calls = || Arc::strong_count(&self.generation) - 1 + self.generation.line.len();
        self.generation.life.is_over(calls)
    }

    /// It was just made, for whoever waited for it.
    fn is_fresh(&self) -> bool {
        self.made.elapsed() < FRESH
    }

    #[inline]
    fn lease(&self, fresh: bool) -> Lease<M, T>
    where
        M::Response: Clone,
    {
        Lease {
            conn: self.conn.clone(),
            generation: Arc::clone(&self.generation),
            fresh,
        }
    }
}

struct Fallen {
    /// Tells who has not heard of it yet.
    line: Arc<Line>,
    error: SharedError,
}

impl<M: Service<T>, T: Clone> Shared<M, T> {
    pub(super) fn new(maker: M, target: T) -> Self {
        let waiters = Waiters::default();
        waiters.set_notified();
        Self {
            state: Mutex::new(State {
                live: None,
                limits: Limits::default(),
                fallen: None,
                attempt: Some(Attempt::new(maker, target)),
            }),
            waiters: Arc::new(waiters),
        }
    }
}

impl<M: Service<T>, T> Shared<M, T> {
    /// This connection is dead: it is not handed out again.
    pub(super) fn retire(&self, line: &Arc<Line>) {
        let dead = self.lock().end(line);
        drop(dead);
    }

    /// Like [`retire`](Self::retire), for a new call that found the connection dead.
    pub(super) fn fell(&self, lease: Lease<M, T>, error: impl Into<BoxError>) {
        let error = error.into();
        let line = &lease.generation.line;
        if let Some(heir) = heir(&*error) {
            self.ended_well(line, heir);
        } else if is_ordered(&*error) {
            self.died(line, error);
        } else {
            self.retire(line);
        }
    }

    /// Like [`retire`](Self::retire), for who found the connection dead before it took a request. Returns
    /// what that one is to fail with, if it has to.
    pub(super) fn died(&self, line: &Arc<Line>, error: BoxError) -> NotSent {
        line.died();
        let mut state = self.lock();
        let Some(dead) = state.end(line) else {
            return NotSent::new(error);
        };
        let error = SharedError::from(error);
        let fallen = Fallen {
            line: Arc::clone(line),
            error: Arc::clone(&error),
        };
        let former = state.fallen.replace(fallen);
        drop(state);
        drop((dead, former));
        NotSent::new(error)
    }

    /// Like [`retire`](Self::retire), for a connection whose end is no failure. Those who waited on it
    /// get their places before anybody else can take one.
    pub(super) fn ended_well(&self, line: &Arc<Line>, heir: &Heir) {
        heir.take_places(&self.waiters);
        self.retire(line);
    }

    /// Like [`retire`](Self::retire), for who waited for the connection and found it dead: that was
    /// the attempt, so all who wait get its error. Shared only if there are others.
    pub(super) fn stillborn(&self, line: &Arc<Line>, error: impl Into<BoxError>) -> BoxError {
        let error = error.into();
        let mut state = self.lock();
        let Some(dead) = state.end(line) else {
            return error;
        };
        if self.waiters.is_empty() {
            drop(state);
            drop(dead);
            return error;
        }
        let error = SharedError::from(error);
        // Before a new attempt can begin, so that nobody is told of another's failure.
        let failed = self.waiters.fail_all(&error);
        drop(state);
        drop(dead);
        failed.into_iter().for_each(Waker::wake);
        error.into()
    }

    /// For a call that finds no connection, if some of the last one's calls have not heard of its end
    /// yet. Whoever went on to a new connection now would go past them.
    pub(super) fn unheard(&self) -> Option<Hearing> {
        let mut state = self.lock();
        let Fallen { line, error } = state.fallen.as_ref()?;
        let hearing = Hearing::join(line, || NotSent::new(Arc::clone(error)));
        let over = state.fallen.take_if(|_| hearing.is_none());
        drop(state);
        drop(over);
        hearing
    }

    /// Nobody waits any more for the attempt that is under way.
    pub(super) fn orphan(&self) {
        if let Some(attempt) = &mut self.lock().attempt {
            attempt.orphan();
        }
    }

    pub(super) fn set_limits(&self, set: impl FnOnce(&mut Limits)) {
        set(&mut self.lock().limits);
    }

    pub(super) fn is_connected(&self) -> bool {
        self.lock().live.is_some()
    }

    fn lock(&self) -> MutexGuard<'_, State<M, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M, T> Shared<M, T>
where
    M: Service<T>,
    M::Error: Into<BoxError>,
    M::Response: Clone,
    T: Clone,
{
    /// The connection, if it is there and nobody waits for it.
    #[inline]
    pub(super) fn try_lease(&self) -> Option<Lease<M, T>> {
        if !self.waiters.is_empty() {
            return None;
        }
        let mut state = self.lock();
        match &state.live {
            Some(live) if !live.is_expired() => return Some(live.lease(false)),
            _ => {}
        }
        let expired = state.live.take();
        drop(state);
        drop(expired);
        None
    }

    /// Waits for a connection, and makes it if nobody else is at it. The place is kept until the
    /// waiter is dropped, which is when the request was handed over, so that nobody goes past it in
    /// between.
    pub(super) fn poll_lease(
        self: &Arc<Self>,
        waiter: &mut Waiter<M, T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Lease<M, T>, ConnectError>> {
        // First the place in the list, then a look at the state: what changes after the look wakes
        // whoever is in the list.
        let place = match self.waiters.register(waiter.place.take(), cx.waker()) {
            Ok(place) => place,
            Err(error) => return Poll::Ready(Err(ConnectError::new(error))),
        };
        waiter.place = Some(place);
        loop {
            let (_former, _expired); // dropped without the lock
            let mut state = self.lock();
            // Who has failed meanwhile has nothing to do with the next attempt.
            if let Some(error) = self.waiters.failure(place) {
                waiter.place = None;
                return Poll::Ready(Err(ConnectError::new(error)));
            }
            let awaited = |live: &Live<M, T>| waiter.joined && live.is_fresh();
            let fresh = state.live.as_ref().is_some_and(awaited);
            if !fresh {
                _expired = state.end_if_expired();
            }
            if let Some(live) = &state.live {
                if let Some(first) = self.waiters.first_before(place) {
                    // Those who came first go first, if they are polled at all.
                    drop(state);
                    ready!(waiter.poll_patience(first, cx));
                    self.waiters.pass_over(first, place);
                    continue;
                }
                return Poll::Ready(Ok(live.lease(fresh)));
            }
            waiter.joined = true;
            _former = waiter.patience.take();
            // Somebody polls it right now, or nothing has happened since it was polled.
            let Some(attempt) = state.attempt.take_if(|_| self.waiters.take_notified()) else {
                return Poll::Pending;
            };
            drop(state);
            let mut turn = Turn {
                shared: self,
                attempt: Some(attempt),
            };
            match turn.poll(&mut waiter.begun) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => {
                    waiter.leave();
                    return Poll::Ready(Err(ConnectError::new(error)));
                }
            }
        }
    }
}

/// Somebody polls the attempt. It is put back whatever happens, a panic included.
struct Turn<'a, M: Service<T>, T> {
    shared: &'a Arc<Shared<M, T>>,
    attempt: Option<Attempt<M, T>>,
}

impl<M, T> Turn<'_, M, T>
where
    M: Service<T>,
    M::Error: Into<BoxError>,
    T: Clone,
{
    fn poll(&mut self, begun: &mut u32) -> Poll<Result<(), SharedError>> {
        let Some(attempt) = &mut self.attempt else {
            return Poll::Pending;
        };
        let waiters = &self.shared.waiters;
        let waker = Waker::from(Arc::clone(waiters));
        let polled = attempt
            .poll(begun, &mut Context::from_waker(&waker))
            .map_err(SharedError::from);

        let mut state = self.shared.lock();
        state.attempt = self.attempt.take();
        match polled {
            Poll::Pending => {
                drop(state);
                // Woken while it was polled: those who came to look found it taken.
                if waiters.is_notified() {
                    waiters.wake_all();
                }
                Poll::Pending
            }
            Poll::Ready(Ok(conn)) => {
                let life = state.limits.begin();
                state.live = Some(Live {
                    conn,
                    generation: Calls::new(life, self.shared, &Arc::default()),
                    made: Instant::now(),
                });
                // The calls of the one before it have been overtaken, whether they know or not.
                let _fallen = state.fallen.take();
                waiters.set_notified();
                drop(state);
                waiters.wake_all();
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => {
                waiters.set_notified();
                // Before a new attempt can begin, so that nobody is told of another's failure.
                let failed = waiters.fail_all(&error);
                drop(state);
                failed.into_iter().for_each(Waker::wake);
                Poll::Ready(Err(error))
            }
        }
    }
}

impl<M: Service<T>, T> Drop for Turn<'_, M, T> {
    fn drop(&mut self) {
        let Some(mut attempt) = self.attempt.take() else {
            return;
        };
        // The attempt panicked. It is this caller's panic; the others begin a new one.
        attempt.abandon();
        self.shared.lock().attempt = Some(attempt);
        self.shared.waiters.set_notified();
        self.shared.waiters.wake_all();
    }
}
