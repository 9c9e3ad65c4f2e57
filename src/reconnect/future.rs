use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::line::{Generation, Place};
use super::shared::{Lease, Shared, Waiter};
use crate::{BoxError, NotSent, classify};

pin_project! {
    /// The answer of a [`Reconnect`](super::Reconnect).
    ///
    /// Dropping it while it connects leaves the attempt to the others who wait for it.
    pub struct ResponseFuture<M, T, Req>
    where
        M: Service<T>,
        M::Response: Service<Req>,
    {
        shared: Arc<Shared<M, T>>,
        #[pin]
        state: State<M, T, Req>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<M, T, Req>
    where
        M: Service<T>,
        M::Response: Service<Req>,
    {
        /// Waits for a connection.
        Connecting { waiter: Option<Waiter<M, T>>, request: Option<Req> },
        /// Waits until the connection takes the request. The clone is this caller's own.
        Readying {
            lease: Lease<M::Response>,
            request: Option<Req>,
            // Keeps the place until the call.
            waiter: Option<Waiter<M, T>>,
            // The same among those who wait until this connection is ready.
            place: Option<Place>,
        },
        /// Waits for the answer.
        Calling {
            #[pin]
            future: <M::Response as Service<Req>>::Future,
            generation: Generation,
        },
        /// Was not sent.
        Failed { error: Option<NotSent>, request: Option<Req> },
    }
}

impl<M, T, Req> ResponseFuture<M, T, Req>
where
    M: Service<T>,
    M::Response: Service<Req>,
{
    pub(super) fn connect(shared: &Arc<Shared<M, T>>, request: Req) -> Self {
        Self::new(shared, State::connect(shared, Some(request)))
    }

    pub(super) fn ready(
        shared: &Arc<Shared<M, T>>,
        lease: Lease<M::Response>,
        request: Req,
    ) -> Self {
        let state = State::Readying {
            place: Some(Place::join(&lease.generation)),
            lease,
            request: Some(request),
            waiter: None,
        };
        Self::new(shared, state)
    }

    pub(super) fn called(
        shared: &Arc<Shared<M, T>>,
        future: <M::Response as Service<Req>>::Future,
        generation: Generation,
    ) -> Self {
        generation.life.touch();
        Self::new(shared, State::Calling { future, generation })
    }

    fn new(shared: &Arc<Shared<M, T>>, state: State<M, T, Req>) -> Self {
        Self {
            shared: Arc::clone(shared),
            state,
        }
    }
}

impl<M, T, Req> State<M, T, Req>
where
    M: Service<T>,
    M::Response: Service<Req>,
{
    /// Goes on to a new connection, unless that would go past others.
    fn connect(shared: &Arc<Shared<M, T>>, request: Option<Req>) -> Self {
        match shared.unheard() {
            Some(error) => Self::Failed {
                error: Some(NotSent::new(error)),
                request,
            },
            None => Self::Connecting {
                waiter: Some(Waiter::new(shared)),
                request,
            },
        }
    }
}

impl<M, T, Req> Future for ResponseFuture<M, T, Req>
where
    M: Service<T>,
    M::Error: Into<BoxError>,
    M::Response: Service<Req> + Clone,
    <M::Response as Service<Req>>::Error: Into<BoxError>,
    T: Clone,
    Req: Send + 'static,
{
    type Output = Result<<M::Response as Service<Req>>::Response, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Connecting { waiter, request } => {
                    let place = waiter.as_mut().expect(POLLED_AGAIN);
                    let lease = match ready!(this.shared.poll_lease(place, cx)) {
                        Ok(lease) => lease,
                        Err(error) => {
                            let request = request.take().expect(POLLED_AGAIN);
                            return Poll::Ready(Err(error.handing_back(request).into()));
                        }
                    };
                    State::Readying {
                        lease,
                        request: request.take(),
                        waiter: waiter.take(),
                        place: None,
                    }
                }
                StateProj::Readying {
                    lease,
                    request,
                    waiter,
                    place,
                } => {
                    let ready = lease.conn.poll_ready(cx);
                    if place.is_none() && (ready.is_pending() || !lease.generation.is_free()) {
                        *place = Some(Place::join(&lease.generation));
                        *waiter = None;
                    }
                    match ready!(ready) {
                        Ok(()) => {
                            if let Some(place) = place {
                                ready!(place.poll_turn(cx));
                            }
                            let request = request.take().expect(POLLED_AGAIN);
                            lease.generation.life.touch();
                            State::Calling {
                                future: lease.conn.call(request),
                                generation: lease.generation.clone(),
                            }
                        }
                        Err(error) => {
                            *waiter = None;
                            *place = None;
                            if lease.fresh {
                                // Made for this call, and dead already: it was the attempt.
                                let error = this.shared.stillborn(&lease.generation, error);
                                let request = request.take().expect(POLLED_AGAIN);
                                let error = NotSent::new(error).handing_back(request);
                                return Poll::Ready(Err(error.into()));
                            }
                            if lease.generation.has_failed_calls() {
                                // They were before it on that connection, and may be again.
                                let error = NotSent::new(error);
                                return Poll::Ready(Err(error.into()));
                            }
                            let others = std::mem::take(&mut lease.generation);
                            this.shared.fell(others, error);
                            State::connect(this.shared, request.take())
                        }
                    }
                }
                StateProj::Failed { error, request } => {
                    let error = error.take().expect(POLLED_AGAIN);
                    let request = request.take().expect(POLLED_AGAIN);
                    return Poll::Ready(Err(error.handing_back(request).into()));
                }
                StateProj::Calling { future, generation } => {
                    let result = ready!(future.poll(cx)).map_err(Into::into);
                    generation.life.touch();
                    if let Err(error) = &result {
                        if classify(&**error).is_some() {
                            generation.call_failed();
                            this.shared.retire(generation);
                        }
                    }
                    // It has heard: from here on nobody need wait for it.
                    this.state.set(State::Failed {
                        error: None,
                        request: None,
                    });
                    return Poll::Ready(result);
                }
            };
            this.state.set(next);
        }
    }
}

/// The request is taken out only on the way to `Calling`, which never goes back.
const POLLED_AGAIN: &str = "polled after it was ready";

impl<M, T, Req> fmt::Debug for ResponseFuture<M, T, Req>
where
    M: Service<T>,
    M::Response: Service<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Connecting { .. } => "connecting",
            State::Readying { .. } => "waiting for readiness",
            State::Calling { .. } => "called",
            State::Failed { .. } => "failed",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
