//! One broken HTTP/2 connection fails all the requests that share it. They are replayed on one new
//! connection, and while the server is away there is one probe at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tower::util::MapRequest;
use tower::{Layer, Service};
use tower_conn_retry::http::connection::Http2Connect;
use tower_conn_retry::{ConnRetry, Error, Reconnect};

use super::calls::{Tally, get, held, layer, spawn, text, within};
use super::origin::{Origin, Version};

const STREAMS: usize = 500;

/// Counts its attempts.
type Dial<F> = MapRequest<HttpConnector, F>;

fn dial(dials: &Arc<AtomicU32>) -> Dial<impl Fn(Uri) -> Uri + Clone + Send + 'static> {
    let dials = dials.clone();
    let count = move |uri| {
        dials.fetch_add(1, Ordering::SeqCst);
        uri
    };
    MapRequest::new(HttpConnector::new(), count)
}

/// 500 requests are in flight on one connection.
async fn fill<S>(origin: &Origin, service: &ConnRetry<S>) -> Vec<Call>
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
{
    let path = |n| origin.url(&format!("/hold/{n}"));
    let calls = (0..STREAMS).map(|n| spawn(service, get(path(n)))).collect();
    origin.has_seen(STREAMS).await;
    assert_eq!(origin.connections(), 1);
    calls
}

type Call = tokio::task::JoinHandle<Result<Response<Incoming>, Error>>;

async fn all_answered(calls: Vec<Call>) {
    for (n, call) in calls.into_iter().enumerate() {
        let path = format!("/hold/{n}");
        assert_eq!(text(within(call).await.unwrap()).await, path);
    }
}

/// A reset costs each of them one replay, and all of them one connection.
async fn reset<S>(origin: Origin, tally: &Tally, service: ConnRetry<S>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
{
    let calls = fill(&origin, &service).await;
    origin.reset().await;
    origin.release();
    all_answered(calls).await;
    assert_eq!(origin.connections(), 2);
    assert_eq!(origin.seen().len(), 2 * STREAMS);
    assert_eq!(tally.failed() as usize, STREAMS);
    assert_eq!(tally.downs(), 0);
}

/// While the server is away, the probes are few, however many wait.
async fn away<S>(mut origin: Origin, dials: &AtomicU32, tally: &Tally, service: ConnRetry<S>)
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
{
    let calls = fill(&origin, &service).await;
    let before = dials.load(Ordering::SeqCst);
    origin.kill().await;
    held(&service.links(), STREAMS).await;
    let probed = async {
        while dials.load(Ordering::SeqCst) < before + 5 {
            tokio::task::yield_now().await;
        }
    };
    within(probed).await;
    // The immediate replays of all shared the connects of a few.
    let dialled = dials.load(Ordering::SeqCst) - before;
    assert!(dialled < 50, "{dialled}");
    assert!(tally.failed() as usize <= 2 * STREAMS + dialled as usize);
    assert_eq!(tally.downs(), 1);
    origin.start();
    origin.release();
    all_answered(calls).await;
    assert_eq!(origin.connections(), 2);
}

macro_rules! reconnect {
    ($test:ident $(, $dials:ident)?) => {{
        let origin = Origin::started(Version::H2);
        let (dials, tally) = (Arc::default(), Arc::new(Tally::default()));
        let connect = Http2Connect::<_, Full<Bytes>>::new(dial(&dials));
        let service = layer()
            .observer(tally.clone())
            .layer(Reconnect::to(connect, origin.uri()));
        $(let $dials = &dials;)?
        $test(origin, $($dials,)? &tally, service).await;
    }};
}

macro_rules! hyper_util {
    ($test:ident $(, $dials:ident)?) => {{
        let origin = Origin::started(Version::H2);
        let (dials, tally) = (Arc::default(), Arc::new(Tally::default()));
        let client = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build::<_, Full<Bytes>>(dial(&dials));
        let service = layer().observer(tally.clone()).layer(client);
        $(let $dials = &dials;)?
        $test(origin, $($dials,)? &tally, service).await;
    }};
}

#[tokio::test]
async fn a_reset_costs_one_connection_through_reconnect() {
    reconnect!(reset);
}

#[tokio::test]
async fn a_reset_costs_one_connection_through_hyper_util() {
    hyper_util!(reset);
}

#[tokio::test]
async fn a_server_that_is_away_is_probed_by_one_through_reconnect() {
    reconnect!(away, dials);
}

#[tokio::test]
async fn a_server_that_is_away_is_probed_by_one_through_hyper_util() {
    hyper_util!(away, dials);
}
