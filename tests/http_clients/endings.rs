//! A connection that ends in the moment in which a request is given to it, on another thread.

use std::future::ready;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::Full;
use hyper::Request;
use hyper_util::rt::TokioIo;
use tokio::io::{DuplexStream, duplex};
use tower::{BoxError, Service, ServiceExt, service_fn};
use tower_conn_retry::http::connection::{Http1Connect, Http2Connect};

use super::calls::{get, within};

const CONNECTIONS: usize = 1_000;
/// On each.
const CALLS: usize = 300;

/// Makes calls without a pause while the peer closes.
async fn every_call_ends<C, S>(connect: C)
where
    C: Service<DuplexStream, Response = S, Error = BoxError> + Clone,
    S: Service<Request<Full<Bytes>>>,
{
    for _ in 0..CONNECTIONS {
        let (ours, theirs) = duplex(1 << 16);
        let mut connection = connect.clone().oneshot(ours).await.unwrap();
        let closes = tokio::spawn(async move { drop(theirs) });
        let calls = (0..CALLS).map(|n| connection.call(get(format!("http://a/{n}"))));
        let calls: Vec<_> = calls.collect();
        // The connection is kept meanwhile, as a pool would do, and nobody calls it again.
        for answer in within(join_all(calls)).await {
            assert!(answer.is_err());
        }
        within(closes).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_on_an_http1_connection_waits_for_ever() {
    let stream = service_fn(|stream| ready(Ok::<_, BoxError>(TokioIo::new(stream))));
    every_call_ends(Http1Connect::new(stream)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_on_an_http2_connection_waits_for_ever() {
    let stream = service_fn(|stream| ready(Ok::<_, BoxError>(TokioIo::new(stream))));
    every_call_ends(Http2Connect::new(stream)).await;
}
