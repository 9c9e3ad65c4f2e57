//! nginx with a small `keepalive_requests`: over HTTP/2 it goes away after so many requests on a
//! connection, and refuses all that are sent there later.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Uri};
use hyper_util::client::legacy::connect::HttpConnector;
use tokio::time::timeout;
use tower::{Layer, ServiceExt};
use tower_conn_retry::http::connection::Http2Connect;
use tower_conn_retry::{Reconnect, RetryOnConnErr};

use super::calls::ID;
use super::load::{Share, turn};
use super::nginx::{Behind, Nginx};
use super::origin::{Origin, Version};

const CALLERS: usize = 50;
const EACH: usize = 20;

/// Its link does not go down: whoever has to wait for a probe waits for ever. And each request, every
/// other one of which is a POST without a key, is read once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn few_requests_for_each_connection_are_no_outage() {
    let _turn = turn(Share::All).await;
    let origin = Origin::started(Version::H1);
    let behind = (Version::H2, Behind::Http1);
    let Some(mut nginx) = Nginx::started(("few", 10), &origin, behind, None) else {
        return;
    };
    nginx.has_started().await;
    let base = format!("http://{}", nginx.address);
    let connect = Http2Connect::<_, Full<Bytes>>::new(HttpConnector::new());
    let service = RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(Duration::from_secs(60)))
        .layer(Reconnect::to(connect, base.parse::<Uri>().unwrap()));
    let callers = (0..CALLERS).map(|caller| {
        let (base, service) = (base.clone(), service.clone());
        tokio::spawn(async move {
            for n in 0..EACH {
                let method = if n % 2 == 0 { "GET" } else { "POST" };
                let request = Request::builder().method(method).uri(&base);
                let request = request.header(ID, format!("{caller}-{n}"));
                let call = service
                    .clone()
                    .oneshot(request.body(Full::default()).unwrap());
                assert_eq!(call.await.unwrap().status(), 200);
            }
        })
    });
    for caller in callers.collect::<Vec<_>>() {
        let done = timeout(Duration::from_secs(30), caller).await;
        done.expect("nobody waits for a probe").unwrap();
    }
    nginx.end().await;
    let read = nginx.read();
    assert_eq!(read.len(), CALLERS * EACH);
    assert!(read.values().all(|times| *times == 1), "{read:?}");
}
