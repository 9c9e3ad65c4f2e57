//! Clients, requests, and waiting within bounds.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Channel, Full};
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt};
use tower_conn_retry::{
    ConnError, Destination, Error, ExponentialBackoff, Links, Observer, RetryOnConnErr,
};

/// A body that can't be copied.
pub(crate) type Streaming = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

/// What hyper asks of a body.
pub(crate) trait SendBody:
    Body<Data: Send, Error: Into<tower::BoxError>> + Unpin + Send + 'static
{
}

impl<B> SendBody for B where
    B: Body<Data: Send, Error: Into<tower::BoxError>> + Unpin + Send + 'static
{
}

/// The default, but quick to probe.
pub(crate) fn layer() -> RetryOnConnErr {
    let backoff = ExponentialBackoff::new().cap(Duration::from_millis(50));
    RetryOnConnErr::new().backoff(backoff)
}

pub(crate) fn get<B: Default>(url: String) -> Request<B> {
    Request::get(url).body(B::default()).unwrap()
}

pub(crate) fn post(url: String, body: &'static str) -> Request<Full<Bytes>> {
    Request::post(url).body(Full::from(body)).unwrap()
}

/// A POST whose body comes in three pieces, the first of which is there. Nothing else of it is made
/// before somebody reads it.
pub(crate) fn stream(url: String) -> Request<Streaming> {
    let (mut sender, body) = Channel::<Bytes, std::io::Error>::new(1);
    tokio::spawn(async move {
        for piece in ["one ", "two ", "three"] {
            if sender.send_data(Bytes::from(piece)).await.is_err() {
                return;
            }
        }
    });
    Request::post(url).body(body.boxed_unsync()).unwrap()
}

/// Starts the call and lets it go on by itself.
pub(crate) fn spawn<S, Req>(service: &S, request: Req) -> JoinHandle<Result<S::Response, S::Error>>
where
    S: Service<Req> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
    S::Error: Send,
    Req: Send + 'static,
{
    tokio::spawn(service.clone().oneshot(request))
}

/// Until so many requests are held.
pub(crate) async fn held(links: &Links, waiting: usize) {
    let mut summary = links.subscribe();
    within(summary.wait_for(|summary| summary.waiting() == waiting))
        .await
        .unwrap();
}

/// What comes within a time that nothing here takes.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future)
        .await
        .expect("it takes too long")
}

/// The answer's body.
pub(crate) async fn text(answer: Result<Response<Incoming>, Error>) -> String {
    let answer = answer.unwrap();
    assert_eq!(answer.status(), 200);
    let bytes = within(answer.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What the layer reports, in numbers.
#[derive(Default)]
pub(crate) struct Tally {
    /// Attempts that failed with a connection error.
    pub(crate) failed: AtomicU32,
    /// Outages.
    pub(crate) downs: AtomicU32,
}

impl Observer for Tally {
    fn attempt_failed(&self, _: &Destination, _: ConnError, _: u32) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn link_down(&self, _: &Destination, _: ConnError) {
        self.downs.fetch_add(1, Ordering::Relaxed);
    }
}

impl Tally {
    pub(crate) fn failed(&self) -> u32 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(crate) fn downs(&self) -> u32 {
        self.downs.load(Ordering::Relaxed)
    }
}
