//! hyper's server, killed and started again: all its connections are reset, new ones are refused
//! until it is back.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy::connect::HttpConnector;
use tower::{Layer, Service};
use tower_conn_retry::ConnRetry;

use super::clients::{Tls, one_h1, one_h2, pooled};
use super::load::{Event, alone, check, layer, run};
use super::origin::{Origin, Version};

const MS: Duration = Duration::from_millis(1);

/// `pace` is how long the server takes to answer, so that each restart meets requests that were read and
/// are not answered. (One HTTP/1.1 connection can't do 1,000 a second with that.)
async fn prove<S>(name: &str, mut origin: Origin, pace: Duration, service: ConnRetry<S>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
{
    let _alone = alone().await;
    origin.set_pace(pace);
    let base = origin.url("");
    let restart = async |event| match event {
        Event::Stop => origin.kill().await,
        Event::Start => origin.start(),
    };
    let outcomes = run(&service, &base, restart).await;
    let replayed = check(name, outcomes, &origin);
    let met = replayed > 0 || pace.is_zero();
    assert!(met, "{name}: the restarts met nobody");
}

fn with_tls(version: Version) -> (Origin, Tls) {
    let tls = Tls::new();
    let mut origin = Origin::stopped(version);
    origin.set_tls(tls.acceptor(version));
    origin.start();
    (origin, tls)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_pooled() {
    let origin = Origin::started(Version::H1);
    let client = pooled(Version::H1, HttpConnector::new());
    prove("HTTP/1.1, pooled", origin, 3 * MS, layer().layer(client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_pooled_tls() {
    let (origin, tls) = with_tls(Version::H1);
    let client = pooled(Version::H1, tls.connector(Version::H1));
    prove(
        "HTTP/1.1, pooled, TLS",
        origin,
        3 * MS,
        layer().layer(client),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_pooled() {
    let origin = Origin::started(Version::H2);
    let client = pooled(Version::H2, HttpConnector::new());
    prove("HTTP/2, pooled", origin, 3 * MS, layer().layer(client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_pooled_tls() {
    let (origin, tls) = with_tls(Version::H2);
    let client = pooled(Version::H2, tls.connector(Version::H2));
    prove("HTTP/2, pooled, TLS", origin, 3 * MS, layer().layer(client)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http1_one_connection() {
    let origin = Origin::started(Version::H1);
    let client = one_h1(HttpConnector::new(), origin.uri());
    prove(
        "HTTP/1.1, one connection",
        origin,
        Duration::ZERO,
        layer().layer(client),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_one_connection_tls() {
    let (origin, tls) = with_tls(Version::H2);
    let client = one_h2(tls.connector(Version::H2), origin.uri());
    prove(
        "HTTP/2, one connection, TLS",
        origin,
        3 * MS,
        layer().layer(client),
    )
    .await;
}
