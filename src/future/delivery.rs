//! Deliveries of an outbox, which keeps the request of a first attempt itself.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::ResponseFuture;
use super::more::{More, Rare};
use crate::mode::Delivery;
use crate::service::Shared;
use crate::{BoxError, ConnErrorPolicy, Error, RequestModel};

impl<S, Req, P, R> ResponseFuture<S, Req, P, R, Delivery>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
{
    /// One that has nothing to do yet.
    pub(crate) fn idle(shared: Arc<Shared<S, P>>) -> Self {
        Self {
            attempt: None,
            shared,
            id: 0,
            kept: None,
            more: Rare::new(More::NOTHING),
            state: (),
            model: PhantomData,
        }
    }

    /// Polls the first attempt of this request once. `None` if it was answered, and all is as before.
    /// Else it [goes on](Self::go_on) with what was seen.
    pub(crate) fn poll_first(
        self: Pin<&mut Self>,
        request: &Req,
        attempt: S::Future,
        cx: &mut Context<'_>,
    ) -> Option<Poll<S::Error>> {
        let mut this = self.project();
        this.attempt.set(Some(attempt));
        match this.attempt.as_mut().as_pin_mut()?.poll(cx) {
            Poll::Ready(Ok(_)) => {
                this.attempt.set(None);
                let table = &this.shared.table;
                table.learn::<Req, R>(request);
                if let Some(budget) = &table.config().budget {
                    budget.deposit();
                }
                None
            }
            Poll::Ready(Err(error)) => Some(Poll::Ready(error)),
            Poll::Pending => Some(Poll::Pending),
        }
    }

    /// The first attempt of this call was not answered at once.
    pub(crate) fn go_on(
        mut self: Pin<&mut Self>,
        id: u64,
        request: Req,
        seen: Poll<S::Error>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<S::Response, Error>> {
        let this = self.as_mut().project();
        *this.id = id;
        *this.kept = Some(request);
        match seen {
            Poll::Pending => self.poll_pending(cx),
            seen => self.poll_on(Some(seen), cx),
        }
    }
}
