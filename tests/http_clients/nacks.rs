//! What the clients replay by themselves, and how that adds up with the layer.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use h2::Reason;
use http_body_util::Full;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};

use super::calls::{Tally, layer, within};

/// Refuses the first streams (REFUSED_STREAM: the request was not processed), and answers the rest.
struct Refuses {
    address: SocketAddr,
    streams: Arc<AtomicU32>,
}

impl Refuses {
    async fn the_first(refused: u32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let streams = Arc::new(AtomicU32::new(0));
        let counter = streams.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counter = counter.clone();
                let service = service_fn(move |_: Request<_>| {
                    let refuse = counter.fetch_add(1, Ordering::SeqCst) < refused;
                    async move {
                        match refuse {
                            true => Err(h2::Error::from(Reason::REFUSED_STREAM)),
                            false => Ok(Response::new(Full::<Bytes>::from("done"))),
                        }
                    }
                });
                let builder = http2::Builder::new(TokioExecutor::new());
                tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
            }
            Ok::<_, Infallible>(())
        });
        Self { address, streams }
    }

    fn order(&self) -> reqwest::Request {
        let url = format!("http://{}/order", self.address);
        let mut order = reqwest::Request::new(reqwest::Method::POST, url.parse().unwrap());
        *order.body_mut() = Some("one".into());
        order
    }

    fn streams(&self) -> u32 {
        self.streams.load(Ordering::SeqCst)
    }
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
}

/// reqwest replays these by itself, twice at most. The layer does not hear of them.
#[tokio::test]
async fn reqwest_replays_what_was_refused_below_the_layer() {
    let server = Refuses::the_first(2).await;
    let tally = Arc::new(Tally::default());
    let service = layer()
        .observer(tally.clone())
        .layer(builder().build().unwrap());
    let answer = within(service.oneshot(server.order())).await.unwrap();
    assert_eq!(within(answer.text()).await.unwrap(), "done");
    assert_eq!((server.streams(), tally.failed()), (3, 0));
}

/// Or leaves that to the layer, which knows the same proof. (It takes a promise about redirects, see
/// there, since the order may have been read by another server before.)
#[tokio::test]
async fn with_its_retries_off_the_layer_does() {
    let server = Refuses::the_first(2).await;
    let tally = Arc::new(Tally::default());
    let client = builder()
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none());
    let service = layer()
        .redirects_off()
        .observer(tally.clone())
        .layer(client.build().unwrap());
    let answer = within(service.oneshot(server.order())).await.unwrap();
    assert_eq!(within(answer.text()).await.unwrap(), "done");
    assert_eq!((server.streams(), tally.failed()), (3, 2));
}

/// One attempt of the layer is up to three streams then.
#[tokio::test]
async fn both_add_up() {
    let server = Refuses::the_first(u32::MAX).await;
    let client = builder().redirect(reqwest::redirect::Policy::none());
    let service = layer()
        .redirects_off()
        .max_attempts(2)
        .layer(client.build().unwrap());
    let error = within(service.oneshot(server.order())).await.unwrap_err();
    assert_eq!(error.attempts(), 2);
    assert_eq!(error.sent(), tower_conn_retry::Sent::No);
    assert_eq!(server.streams(), 2 * 3);
}
