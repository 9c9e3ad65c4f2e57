//! A virtual address with a dead backend refuses its share of the connects. Who retries those below the
//! client hears of none.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::TokioExecutor;
use tower::retry::{Policy, Retry};
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::http::connection::Http1Connect;
use tower_conn_retry::{Reconnect, RetryOnConnErr, Sent};

use super::calls::within;
use super::origin::{Origin, Version};

const CALLS: usize = 100;

/// Every fifth connect is refused, of all clones together.
#[derive(Clone)]
struct Virtual {
    connector: HttpConnector,
    connects: Arc<AtomicUsize>,
    dead: Uri,
}

impl Virtual {
    fn new(dead: &Origin) -> Self {
        Self {
            connector: HttpConnector::new(),
            connects: Arc::default(),
            dead: dead.uri(),
        }
    }
}

impl Service<Uri> for Virtual {
    type Response = <HttpConnector as Service<Uri>>::Response;
    type Error = <HttpConnector as Service<Uri>>::Error;
    type Future = <HttpConnector as Service<Uri>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.connector.poll_ready(cx)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let number = self.connects.fetch_add(1, Ordering::Relaxed);
        let dead = number % 5 == 4;
        self.connector
            .call(if dead { self.dead.clone() } else { uri })
    }
}

/// So many more tries of a connect, at once.
#[derive(Clone)]
struct More(u8);

impl<Io, E> Policy<Uri, Io, E> for More {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Uri, result: &mut Result<Io, E>) -> Option<Ready<()>> {
        result.as_ref().err()?;
        self.0 = self.0.checked_sub(1)?;
        Some(ready(()))
    }

    fn clone_request(&mut self, uri: &Uri) -> Option<Uri> {
        Some(uri.clone())
    }
}

/// Makes all calls, each on a connection of its own, and counts the refused.
async fn refused<S, B>(client: S, origin: &Origin) -> usize
where
    S: Service<Request<Full<Bytes>>, Response = hyper::Response<B>> + Clone,
    B: hyper::body::Body<Error: std::fmt::Debug>,
    S::Error: Into<tower::BoxError>,
{
    // A single attempt: nothing is mended up here.
    let layer = RetryOnConnErr::new().max_attempts(1);
    let layer = layer.backoff(|| std::iter::repeat(Duration::from_millis(1)));
    let service = layer.layer(client);
    let mut refused = 0;
    for number in 0..CALLS {
        let request = Request::post(origin.url(&format!("/{number}")));
        let request = request.header(header::CONNECTION, "close");
        let request = request.body(Full::default()).unwrap();
        match within(service.clone().oneshot(request)).await {
            Ok(answer) => {
                within(answer.into_body().collect()).await.unwrap();
            }
            Err(error) => {
                assert_eq!(error.sent(), Sent::No, "{error:?}");
                refused += 1;
            }
        }
    }
    refused
}

fn hyper_util<C: Connect + Clone + Send + Sync + 'static>(connector: C) -> Client<C, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build(connector)
}

#[tokio::test]
async fn a_retry_of_the_connect_hides_a_dead_backend() {
    let (origin, dead) = (Origin::started(Version::H1), Origin::stopped(Version::H1));
    let virtual_address = Virtual::new(&dead);
    let retried = Retry::new(More(2), Virtual::new(&dead));

    assert_eq!(
        refused(hyper_util(virtual_address), &origin).await,
        CALLS / 5
    );
    assert_eq!(refused(hyper_util(retried.clone()), &origin).await, 0);
    let client = Reconnect::to(Http1Connect::new(retried), origin.uri());
    assert_eq!(refused(client, &origin).await, 0);

    let lines = origin.lines();
    assert_eq!(
        lines.len(),
        CALLS * 3 - CALLS / 5,
        "each that was answered was read once"
    );
}
