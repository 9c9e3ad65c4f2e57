use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use http::StatusCode;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{HasStatus, Unavailable, retry_after};
use crate::BoxError;

/// Makes a connection error of a 503, so that it is waited for and replayed as one. It belongs inside
/// of [`RetryOnConnErr`](struct@crate::RetryOnConnErr).
///
/// An answer is not a connection error, so nothing does this by default. But behind a proxy, "no
/// healthy upstream" is an outage in disguise.
///
/// ```
/// use tower::{Service, ServiceBuilder};
/// use tower_conn_retry::{RetryOnConnErr, UnavailableLayer};
///
/// # fn wrap(client: reqwest::Client) -> impl Service<reqwest::Request> {
/// ServiceBuilder::new()
///     .layer(RetryOnConnErr)
///     .layer(UnavailableLayer::new())
///     .service(client) // whose response is an `http::Response`, or reqwest's
/// # }
/// ```
///
/// # What follows
///
/// - One 503 holds the *destination* down: all its requests wait, and one at a time probes. That is
///   right where the whole destination is meant. Where single resources are overloaded, it is not:
///   use `tower::retry` there.
/// - The request may have been done. If it is not idempotent, it is not replayed, and the caller gets
///   an [`Error`](crate::Error) in place of the answer.
/// - The error is an [`Unavailable`] with status and headers. The answer's body is dropped unread,
///   which ends its connection if that is HTTP/1 and there is one.
/// - The link stays down for the time of the answer's `Retry-After` (RFC 9110 §10.2.3), but not for
///   longer than [`max_retry_after`](Self::max_retry_after).
///   [`give_up_after`](crate::RetryOnConnErr::give_up_after) ends the waiting in any case.
#[derive(Debug, Clone)]
pub struct UnavailableLayer {
    rules: Arc<Rules>,
}

#[derive(Debug, Clone)]
struct Rules {
    statuses: Vec<StatusCode>,
    max_retry_after: Duration,
}

impl UnavailableLayer {
    /// Makes an error of 503 (RFC 9110 §15.6.4) alone.
    pub fn new() -> Self {
        let rules = Rules {
            statuses: vec![StatusCode::SERVICE_UNAVAILABLE],
            max_retry_after: Duration::from_secs(60),
        };
        Self {
            rules: Arc::new(rules),
        }
    }

    /// Makes an error of these statuses, and no other ones. Default: 503. For a gateway, 502 and 504
    /// may mean the same.
    #[must_use]
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        Arc::make_mut(&mut self.rules).statuses = statuses.into_iter().collect();
        self
    }

    /// The longest time that a `Retry-After` is honoured for. Default: 1 min. While the time runs,
    /// nobody looks whether the server is back earlier.
    #[must_use]
    pub fn max_retry_after(mut self, time: Duration) -> Self {
        Arc::make_mut(&mut self.rules).max_retry_after = time;
        self
    }
}

impl Default for UnavailableLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl Rules {
    fn apply<R: HasStatus>(&self, response: R) -> Result<R, Unavailable> {
        let status = response.status_code();
        if !self.statuses.contains(&status) {
            return Ok(response);
        }
        let headers = response.into_headers();
        let retry_after = retry_after::parse(&headers, SystemTime::now());
        Err(Unavailable {
            status,
            headers,
            retry_after: retry_after.map(|wait| wait.min(self.max_retry_after)),
        })
    }
}

impl<S> Layer<S> for UnavailableLayer {
    type Service = UnavailableService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let rules = self.rules.clone();
        UnavailableService { inner, rules }
    }
}

/// The service that [`UnavailableLayer`] makes.
#[derive(Debug, Clone)]
pub struct UnavailableService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S, Req> Service<Req> for UnavailableService<S>
where
    S: Service<Req>,
    S::Response: HasStatus,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = UnavailableFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Req) -> Self::Future {
        UnavailableFuture {
            attempt: self.inner.call(request),
            rules: self.rules.clone(),
        }
    }
}

pin_project! {
    /// The future of an [`UnavailableService`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct UnavailableFuture<F> {
        #[pin]
        attempt: F,
        rules: Arc<Rules>,
    }
}

impl<F, R, E> Future for UnavailableFuture<F>
where
    F: Future<Output = Result<R, E>>,
    R: HasStatus,
    E: Into<BoxError>,
{
    type Output = Result<R, BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.attempt.poll(cx)).map_err(Into::into)?;
        Poll::Ready(this.rules.apply(answer).map_err(Into::into))
    }
}
