//! A reverse proxy whose upstream is restarted under load, without a single failed request.
//!
//! ```text
//! cargo run --example proxy
//! ```
//!
//! It needs no network: upstream and clients are parts of this example. What it claims, it checks; so
//! it ends with an error if something is not as it says.
//!
//! The proxy answers requests that came while the upstream was away when it is back. A request that
//! may have reached the upstream is replayed only if that does no harm: all of the clients' POSTs have
//! an `Idempotency-Key`, which the proxy passes on.

mod server;

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};
use tower::{Layer, ServiceExt};
use tower_conn_retry::{
    BoxError, ConnRetry, ExponentialBackoff, Limits, Reason, Renew, RetryOnConnErr,
};

use server::Server;

const REQUESTS: usize = 2_000;
const RESTARTS: usize = 10;

/// With the upstream there, no more calls are in flight; with those that come while it is away they
/// are fewer than the proxy holds, however slow the machine is.
const IN_FLIGHT: usize = 500;

/// The pool is made anew when the upstream has gone, so that no dead connection in it is tried.
type Upstream = ConnRetry<Renew<HttpClient, fn() -> HttpClient>>;

type HttpClient = Client<HttpConnector, Full<Bytes>>;

fn upstream() -> Upstream {
    let client: fn() -> HttpClient = || Client::builder(TokioExecutor::new()).build_http();
    RetryOnConnErr::new()
        // The upstream is near, and its clients wait: probe often.
        .backoff(ExponentialBackoff::new().cap(Duration::from_millis(100)))
        .give_up_after(Duration::from_secs(30)) // less than the clients' patience
        .limits(Limits::new().requests(1_000).bytes(8 << 20))
        .layer(Renew::new(client))
}

type Answer = Response<Either<Incoming, Full<Bytes>>>;

/// One request through the proxy.
async fn forward(
    request: Request<Incoming>,
    upstream: Upstream,
    to: SocketAddr,
) -> Result<Answer, Infallible> {
    Ok(match try_forward(request, upstream, to).await {
        Ok(answer) => answer.map(Either::Left),
        Err((status, text)) => {
            let mut answer = Response::new(Either::Right(Full::from(text)));
            *answer.status_mut() = status;
            answer
        }
    })
}

async fn try_forward(
    request: Request<Incoming>,
    upstream: Upstream,
    to: SocketAddr,
) -> Result<Response<Incoming>, (StatusCode, String)> {
    let (mut head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let uri = format!("http://{to}{path}").parse::<Uri>();
    head.uri = uri.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
    head.headers.remove("host");
    // What is to be replayed has to be in memory; but not without a bound.
    let body = Limited::new(body, 1 << 20).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        false => (StatusCode::BAD_REQUEST, error.to_string()),
    })?;
    let request = Request::from_parts(head, Full::new(body.to_bytes()));
    let answer = upstream.oneshot(request).await;
    answer.map_err(|error| match error.reason() {
        Reason::GaveUp | Reason::QueueFull => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
        _ => (StatusCode::BAD_GATEWAY, error.to_string()),
    })
}

async fn proxy(listener: TcpListener, to: SocketAddr) {
    let upstream = upstream();
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let upstream = upstream.clone();
        let service = service_fn(move |request| forward(request, upstream.clone(), to));
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let mut server = Server::started()?;
    let to = server.address();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let proxy = tokio::spawn(proxy(listener, to));

    // The clients know nothing of all this: no retry, no layer.
    let client: HttpClient = Client::builder(TokioExecutor::new()).build_http();
    let mut calls = JoinSet::new();
    let mut tick = interval(Duration::from_millis(1));
    let cycle = REQUESTS / RESTARTS;
    let mut answered = 0;
    for n in 0..REQUESTS {
        tick.tick().await;
        while n % cycle <= cycle - 50 && calls.len() >= IN_FLIGHT {
            answer(&mut calls).await?;
            answered += 1;
        }
        match n % cycle {
            at if at == cycle - 50 => server.stop().await?,
            at if at == cycle - 1 => server.start()?,
            _ => {}
        }
        let request = Request::builder().uri(format!("http://{address}/{n}"));
        let request = match n % 2 {
            0 => request.body(Full::default())?,
            _ => request
                .method(Method::POST)
                .header("Idempotency-Key", format!("\"{n}\""))
                .body(Full::from("one vacuum cleaner"))?,
        };
        let call = client.request(request);
        calls.spawn(async move {
            let answer = call.await?;
            let status = answer.status();
            let text = answer.into_body().collect().await?.to_bytes();
            match status == StatusCode::OK && text == format!("/{n}") {
                true => Ok::<_, BoxError>(()),
                false => Err(format!("{status}: {text:?}").into()),
            }
        });
    }
    while !calls.is_empty() {
        answer(&mut calls).await?;
        answered += 1;
    }
    println!("{RESTARTS} restarts of the upstream");
    println!("{REQUESTS} requests, {answered} answered with 200");
    let read = server.seen().len();
    println!("{read} requests read by the upstream: those whose answers were lost were replayed");
    proxy.abort();
    Ok(())
}

/// One of the calls is answered.
async fn answer(calls: &mut JoinSet<Result<(), BoxError>>) -> Result<(), BoxError> {
    let call = timeout(Duration::from_secs(60), calls.join_next()).await?;
    call.ok_or("no call is in flight")??
}
