use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::service::Shared;
use crate::{BoxError, Sent, classify};

pin_project! {
    /// The answer of a [`Renew`](super::Renew).
    pub struct ResponseFuture<Fut, S, F> {
        #[pin]
        future: Fut,
        flight: Flight<S, F>,
    }
}

impl<Fut, S, F> ResponseFuture<Fut, S, F> {
    pub(super) fn new(
        future: Fut,
        shared: Arc<Shared<S, F>>,
        generation: u64,
        suspect_after: Duration,
    ) -> Self {
        let flight = Flight {
            shared,
            generation,
            began: Instant::now(),
            suspect_after,
            over: false,
        };
        Self { future, flight }
    }
}

impl<Fut, S, F, Res, E> Future for ResponseFuture<Fut, S, F>
where
    Fut: Future<Output = Result<Res, E>>,
    E: Into<BoxError>,
{
    type Output = Result<Res, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.future.poll(cx)).map_err(Into::into);
        this.flight.over = true;
        if let Err(error) = &result {
            if classify(&**error).is_some_and(|found| found.sent() == Sent::Maybe) {
                this.flight.retire();
            }
        }
        Poll::Ready(result)
    }
}

impl<Fut, S, F> fmt::Debug for ResponseFuture<Fut, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("over", &self.flight.over)
            .finish_non_exhaustive()
    }
}

/// A call on the client of a certain number.
struct Flight<S, F> {
    shared: Arc<Shared<S, F>>,
    generation: u64,
    began: Instant,
    suspect_after: Duration,
    /// It has ended, well or not.
    over: bool,
}

impl<S, F> Flight<S, F> {
    fn retire(&self) {
        self.shared.retire(self.generation);
    }
}

impl<S, F> Drop for Flight<S, F> {
    fn drop(&mut self) {
        if !self.over && self.began.elapsed() >= self.suspect_after {
            self.retire();
        }
    }
}
