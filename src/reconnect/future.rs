use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use tower_service::Service;

use super::calls::Generation;
use super::lease::Lease;
use super::pending::{Called, POLLED_AGAIN, Pending};
use super::shared::Shared;
use crate::{BoxError, classify};

pin_project! {
    /// The answer of a [`Reconnect`](super::Reconnect).
    ///
    /// Dropping it while it connects leaves the attempt to the others who wait for it.
    pub struct ResponseFuture<M, T, Req>
    where
        M: Service<T>,
        M::Response: Service<Req>,
    {
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
        /// Waits for the answer.
        Calling {
            #[pin]
            future: <M::Response as Service<Req>>::Future,
            generation: Generation<M, T>,
        },
        /// Boxed, so that in the usual case there is little to move.
        Pending { pending: Box<Pending<M, T, Req>> },
        Over,
    }
}

impl<M, T, Req> ResponseFuture<M, T, Req>
where
    M: Service<T>,
    M::Response: Service<Req>,
{
    #[cold]
    pub(super) fn connect(shared: &Arc<Shared<M, T>>, request: Req) -> Self {
        let pending = Pending::connect(shared, request);
        Self {
            state: State::Pending { pending },
        }
    }

    #[cold]
    pub(super) fn ready(shared: &Arc<Shared<M, T>>, lease: Lease<M, T>, request: Req) -> Self {
        let pending = Pending::ready(shared, lease, request);
        Self {
            state: State::Pending { pending },
        }
    }

    #[inline]
    pub(super) fn called(
        future: <M::Response as Service<Req>>::Future,
        generation: Generation<M, T>,
    ) -> Self {
        generation.life.touch();
        Self {
            state: State::Calling { future, generation },
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

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        // Kept until it is clear that the connection has really taken the request.
        let mut kept = None;
        loop {
            match state.as_mut().project() {
                StateProj::Calling { future, generation } => {
                    let result = ready!(future.poll(cx)).map_err(Into::into);
                    generation.life.touch();
                    if let Err(error) = &result {
                        if let Some(pending) = Pending::go_on(generation, &**error, kept.take()) {
                            state.set(State::Pending { pending });
                            continue;
                        }
                        if classify(&**error).is_some() {
                            generation.call_failed();
                        }
                    }
                    // It has heard: from here on nobody need wait for it.
                    state.set(State::Over);
                    return Poll::Ready(result);
                }
                StateProj::Pending { pending } => match ready!(pending.poll(cx)) {
                    Ok(called) => {
                        let Called {
                            future,
                            generation,
                            waiter,
                        } = called;
                        kept = waiter;
                        state.set(State::Calling { future, generation });
                    }
                    Err(error) => {
                        state.set(State::Over);
                        return Poll::Ready(Err(error));
                    }
                },
                StateProj::Over => panic!("{POLLED_AGAIN}"),
            }
        }
    }
}

impl<M, T, Req> fmt::Debug for ResponseFuture<M, T, Req>
where
    M: Service<T>,
    M::Response: Service<Req>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Calling { .. } => "called",
            State::Pending { pending } => pending.stage(),
            State::Over => "over",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
