use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tower_service::Service;

use super::calls::Generation;
use super::closed::{heir, is_ordered};
use super::hearing::Hearing;
use super::lease::{Lease, Reservation};
use super::line::Place;
use super::shared::Shared;
use super::waiter::Waiter;
use crate::{BoxError, NotSent, Unsent};

/// A request that was not handed over yet.
pub(super) struct Pending<M, T, Req>
where
    M: Service<T>,
    M::Response: Service<Req>,
{
    stage: Stage<M, T>,
    request: Option<Req>,
    shared: Arc<Shared<M, T>>,
}

enum Stage<M: Service<T>, T> {
    /// Waits for a connection.
    Connecting { waiter: Option<Waiter<M, T>> },
    /// Waits until the connection takes the request. The clone is this caller's own.
    Readying {
        lease: Reservation<M, T>,
        // Keeps the place until the call.
        waiter: Option<Waiter<M, T>>,
        // The same among those who wait until this connection is ready.
        place: Option<Place>,
    },
    /// Would go past others on a new connection.
    Hearing { hearing: Hearing },
}

/// A request that was handed over.
pub(super) struct Called<M, T, Req>
where
    M: Service<T>,
    M::Response: Service<Req>,
{
    pub(super) future: <M::Response as Service<Req>>::Future,
    /// Which connection it is on.
    pub(super) generation: Generation<M, T>,
    /// Its place until then. To be kept for the first poll, which tells whether it was too late.
    pub(super) waiter: Option<Waiter<M, T>>,
}

impl<M, T, Req> Pending<M, T, Req>
where
    M: Service<T>,
    M::Response: Service<Req>,
{
    pub(super) fn connect(shared: &Arc<Shared<M, T>>, request: Req) -> Box<Self> {
        Box::new(Self {
            stage: Stage::connect(shared),
            request: Some(request),
            shared: Arc::clone(shared),
        })
    }

    pub(super) fn ready(shared: &Arc<Shared<M, T>>, lease: Lease<M, T>, request: Req) -> Box<Self> {
        let stage = Stage::Readying {
            place: Some(Place::join(&lease.generation.line)),
            lease: lease.reserve(),
            waiter: None,
        };
        Box::new(Self {
            stage,
            request: Some(request),
            shared: Arc::clone(shared),
        })
    }

    /// For a call that has waited on this connection, if that has ended well and the error hands the
    /// request back: its failure is none. `waiter` is the place that it has kept.
    #[cold]
    pub(super) fn go_on(
        generation: &Generation<M, T>,
        error: &(dyn Error + 'static),
        waiter: Option<Waiter<M, T>>,
    ) -> Option<Box<Self>>
    where
        Req: Send + 'static,
    {
        let heir = heir(error)?;
        if generation.line.has_failed_calls() {
            return None;
        }
        let shared = generation.shared()?;
        let request = Unsent::find(error)?;
        shared.ended_well(&generation.line, heir);
        let claimed = heir.claim(&shared.waiters);
        let claimed = claimed.map(|place| Waiter::at(&shared, place));
        let places = claimed.into_iter().chain(waiter);
        let first = places.min_by_key(|waiter| waiter.place);
        let waiter = first.unwrap_or_else(|| Waiter::new(&shared));
        Some(Box::new(Self {
            stage: Stage::Connecting {
                waiter: Some(waiter),
            },
            request: Some(request),
            shared,
        }))
    }

    pub(super) fn stage(&self) -> &'static str {
        match self.stage {
            Stage::Connecting { .. } => "connecting",
            Stage::Readying { .. } => "waiting for readiness",
            Stage::Hearing { .. } => "waiting for others",
        }
    }
}

impl<M: Service<T>, T> Stage<M, T> {
    /// Goes on to a new connection, unless that would go past others.
    fn connect(shared: &Arc<Shared<M, T>>) -> Self {
        match shared.unheard() {
            Some(hearing) => Self::Hearing { hearing },
            None => Self::go_on(shared),
        }
    }

    fn go_on(shared: &Arc<Shared<M, T>>) -> Self {
        let waiter = Some(Waiter::new(shared));
        Self::Connecting { waiter }
    }
}

impl<M, T, Req> Pending<M, T, Req>
where
    M: Service<T>,
    M::Error: Into<BoxError>,
    M::Response: Service<Req> + Clone,
    <M::Response as Service<Req>>::Error: Into<BoxError>,
    T: Clone,
    Req: Send + 'static,
{
    /// Ready when the request was handed over, or can't be.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Called<M, T, Req>, BoxError>> {
        let Self {
            stage,
            request,
            shared,
        } = self;
        loop {
            *stage = match stage {
                Stage::Connecting { waiter } => {
                    let place = waiter.as_mut().expect(POLLED_AGAIN);
                    let lease = match ready!(shared.poll_lease(place, cx)) {
                        Ok(lease) => lease,
                        Err(error) => {
                            let request = request.take().expect(POLLED_AGAIN);
                            return Poll::Ready(Err(error.handing_back(request).into()));
                        }
                    };
                    Stage::Readying {
                        lease: lease.reserve(),
                        waiter: waiter.take(),
                        place: None,
                    }
                }
                Stage::Readying {
                    lease,
                    waiter,
                    place,
                } => {
                    let ready = lease.conn.poll_ready(cx);
                    if place.is_none() && (ready.is_pending() || !lease.line.is_free()) {
                        *place = Some(Place::join(&lease.line));
                        *waiter = None;
                    }
                    let Err(error) = ready!(ready) else {
                        if let Some(place) = place {
                            ready!(place.poll_turn(cx));
                        }
                        let request = request.take().expect(POLLED_AGAIN);
                        let generation = lease.begin(shared);
                        generation.life.touch();
                        return Poll::Ready(Ok(Called {
                            future: lease.conn.call(request),
                            generation,
                            waiter: waiter.take(),
                        }));
                    };
                    let error: BoxError = error.into();
                    let heir = heir(&*error).filter(|_| !lease.line.has_failed_calls());
                    if let Some(heir) = heir {
                        // Others were first on it, and theirs are over.
                        shared.ended_well(&lease.line, heir);
                        let waiter = waiter.take().unwrap_or_else(|| Waiter::new(shared));
                        *stage = Stage::Connecting {
                            waiter: Some(waiter),
                        };
                        continue;
                    }
                    *waiter = None;
                    if lease.fresh {
                        *place = None;
                        // Made for this call, and dead already: it was the attempt.
                        let error = shared.stillborn(&lease.line, error);
                        let request = request.take().expect(POLLED_AGAIN);
                        let error = NotSent::new(error).handing_back(request);
                        return Poll::Ready(Err(error.into()));
                    }
                    if is_ordered(&*error) {
                        let error = shared.died(&lease.line, error);
                        let place = place.take().unwrap_or_else(|| Place::join(&lease.line));
                        let hearing = Hearing::new(place, error);
                        Stage::Hearing { hearing }
                    } else {
                        *place = None;
                        shared.retire(&lease.line);
                        if lease.line.has_failed_calls() {
                            // They were before it on that connection, and may be again.
                            let request = request.take().expect(POLLED_AGAIN);
                            let error = NotSent::new(error).handing_back(request);
                            return Poll::Ready(Err(error.into()));
                        }
                        Stage::connect(shared)
                    }
                }
                Stage::Hearing { hearing } => match ready!(hearing.poll(cx)) {
                    Some(error) => {
                        let request = request.take().expect(POLLED_AGAIN);
                        return Poll::Ready(Err(error.handing_back(request).into()));
                    }
                    None => Stage::go_on(shared),
                },
            };
        }
    }
}

/// The request is taken out only when all is over.
pub(super) const POLLED_AGAIN: &str = "polled after it was ready";
