//! A server that closes its HTTP/2 connections gracefully all the time, as one behind a load balancer
//! or with a `max_connection_age` does, under load on a runtime of several threads. The POSTs have no
//! key and no body, so that each is a single frame; the server's own account says which it executed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::http::connection::Http2Connect;
use tower_conn_retry::{Error, Reason, Reconnect, Sent};

use super::calls::{layer, within};

/// How many requests a connection takes.
const STREAMS: u32 = 40;
/// How many are on their way at once.
const CALLS: usize = 32;
/// At most so many in all, and for so long.
const MOST: usize = 20_000;
const LONGEST: Duration = Duration::from_secs(5);
/// Under such load hyper-util's pool leaves a caller waiting for ever once in a while, bare or in
/// reqwest; so the calls through it have a limit.
const STUCK: Duration = Duration::from_secs(3);

/// How often each path was executed.
type Account = Arc<Mutex<HashMap<String, u32>>>;

/// On a thread of its own, so that it runs at the same time as the client.
fn server(account: Account) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(async {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(connection(stream, account.clone()));
            }
        });
    });
    address
}

/// Executes and answers all that comes, GOAWAY or not, until the client has closed.
async fn connection(stream: TcpStream, account: Account) {
    let Ok(mut connection) = h2::server::handshake(stream).await else {
        return;
    };
    let mut streams = 0;
    while let Some(Ok((request, mut answer))) = connection.accept().await {
        let path = request.uri().path().to_owned();
        *account.lock().unwrap().entry(path).or_default() += 1;
        let _ = answer.send_response(Response::new(()), true);
        streams += 1;
        if streams == STREAMS {
            connection.graceful_shutdown();
        }
    }
}

/// The calls that failed. None of the others was executed less than once, and none of all more than
/// once.
async fn failures<S, R>(service: impl FnOnce(SocketAddr) -> S) -> Vec<Error>
where
    S: Service<Request<Full<Bytes>>, Response = R, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
{
    let account = Account::default();
    let address = server(account.clone());
    let service = service(address);
    let (permits, start) = (Arc::new(Semaphore::new(CALLS)), Instant::now());
    let mut calls = Vec::new();
    while calls.len() < MOST && start.elapsed() < LONGEST {
        let permit = within(permits.clone().acquire_owned()).await.unwrap();
        let order = Request::post(format!("http://{address}/{}", calls.len()));
        let call = service
            .clone()
            .oneshot(order.body(Full::default()).unwrap());
        calls.push(tokio::spawn(async move {
            let answer = call.await.map(drop);
            drop(permit);
            answer
        }));
    }
    let mut failures = Vec::new();
    for (n, call) in calls.into_iter().enumerate() {
        let answer = within(call).await.unwrap();
        let executed = account.lock().unwrap().get(&format!("/{n}")).copied();
        assert!(executed <= Some(1), "{n} was executed {executed:?}");
        match answer {
            Ok(()) => assert_eq!(executed, Some(1)),
            Err(error) => failures.push(error),
        }
    }
    failures
}

/// What hyper says of a GOAWAY is no proof, so the layer can't replay all. It does not go on at the
/// risk of doing something twice, and says so.
#[track_caller]
fn assert_honest(failures: Vec<Error>) {
    for error in failures {
        assert_eq!(error.reason(), Reason::NotIdempotent, "{error:?}");
        assert_eq!(error.sent(), Sent::Maybe, "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_our_own_double_nothing_and_know_what_was_not_sent() {
    let failures = failures(|address| {
        let uri = format!("http://{address}").parse::<hyper::Uri>().unwrap();
        let connect = Http2Connect::<_, Full<Bytes>>::new(HttpConnector::new());
        layer().layer(Reconnect::to(connect, uri))
    });
    let failures = failures.await;
    // The server may close before it has read all: that is no GOAWAY, and rare. hyper's other clients
    // have hundreds.
    assert!(failures.len() < 20, "{failures:?}");
    assert_honest(failures);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hyper_util_doubles_nothing() {
    let mut builder = Client::builder(TokioExecutor::new());
    let client = builder.http2_only(true).build_http::<Full<Bytes>>();
    assert_honest(failures(|_| layer().attempt_timeout(STUCK).layer(client)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reqwest_doubles_nothing_without_its_own_retries() {
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .unwrap();
    let service = tower::service_fn(move |request: Request<Full<Bytes>>| {
        let client = client.clone();
        async move {
            let request = request.map(|_| reqwest::Body::default());
            client.execute(request.try_into()?).await
        }
    });
    let layer = layer().redirects_off().attempt_timeout(STUCK);
    assert_honest(failures(|_| layer.layer(service)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tonic_doubles_nothing() {
    let failures = failures(|address| {
        let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}"));
        let channel = endpoint.unwrap().connect_lazy();
        let body = |body: Full<Bytes>| tonic::body::Body::new(body.map_err(|never| match never {}));
        let channel = channel.map_request(move |request: Request<_>| request.map(body));
        layer().layer(channel)
    });
    assert_honest(failures.await);
}
