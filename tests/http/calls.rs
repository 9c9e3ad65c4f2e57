//! Clients, requests and waiting for conditions.

use std::future::Future;
use std::time::Duration;

use reqwest::{Body, Client, Method, Request, Response, redirect};
use tokio::task::JoinHandle;
use tower::{Service, ServiceExt};
use tower_conn_retry::{ConnErrorKind, Error, ExponentialBackoff, Links, RetryOnConnErr};

/// The default, but quick to probe.
pub(crate) fn layer() -> RetryOnConnErr {
    let backoff = ExponentialBackoff::new().cap(Duration::from_millis(50));
    RetryOnConnErr::new().backoff(backoff)
}

/// As reqwest makes it, with redirects.
pub(crate) fn client() -> Client {
    Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn client_without_redirects() -> Client {
    Client::builder()
        .no_proxy()
        .redirect(redirect::Policy::none())
        .build()
        .unwrap()
}

pub(crate) fn get(url: String) -> Request {
    Request::new(Method::GET, url.parse().unwrap())
}

pub(crate) fn post(url: String, body: impl Into<Body>) -> Request {
    let mut request = Request::new(Method::POST, url.parse().unwrap());
    *request.body_mut() = Some(body.into());
    request
}

pub(crate) fn post_with_key(url: String, body: impl Into<Body>, key: &'static str) -> Request {
    let mut request = post(url, body);
    let headers = request.headers_mut();
    headers.insert("Idempotency-Key", key.parse().unwrap());
    request
}

/// Starts the call and lets it go on by itself.
pub(crate) fn spawn<S, Req>(service: &S, request: Req) -> JoinHandle<Result<S::Response, Error>>
where
    S: Service<Req, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
    S::Response: Send,
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

pub(crate) async fn text(response: Response) -> String {
    assert_eq!(response.status(), 200);
    response.text().await.unwrap()
}

pub(crate) fn kind(error: &Error) -> Option<ConnErrorKind> {
    error.conn_error().map(|error| error.kind())
}
