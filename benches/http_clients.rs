//! What a request through a real connection costs, in instructions of the client: the bare client,
//! this layer, `tower::retry`, and `reqwest-middleware` with `reqwest-retry`.
//!
//! ```console
//! cargo bench --bench http_clients
//! ```
//!
//! Needs valgrind: the program runs itself under callgrind, each case with few and with many
//! requests, one after the other over one connection on this machine. The server is outside of what
//! is counted, and so is most of the allocator: what glibc's costs depends on what lay beside a block
//! before, by more than a thousand instructions a request, so that a client could seem quicker for one
//! allocation more.

#![allow(missing_docs, unsafe_code)]

#[path = "../examples/server/mod.rs"]
mod server;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::{Ready, ready};
use std::process::Command;
use std::ptr::null_mut;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::ClientBuilder;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use tower::retry::{Policy, Retry};
use tower::timeout::Timeout;
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::http::connection::Http1Connect;
use tower_conn_retry::{BoxError, Reconnect, Renew, RetryOnConnErr};

use server::Server;

/// Each thread keeps what it freed, by size, so that each block costs the same, and little, as with the
/// allocators that are made for speed.
struct Lists;

/// One that is free; it has the address of the next.
#[derive(Clone, Copy)]
struct Block(*mut Block);

thread_local! {
    static FREE: [Cell<Block>; 64] = const { [const { Cell::new(Block(null_mut())) }; 64] };
}

#[global_allocator]
static ALLOCATOR: Lists = Lists;

/// The power of two that it fits in.
fn class(layout: Layout) -> usize {
    let size = layout.size().max(layout.align()).max(size_of::<Block>());
    size.next_power_of_two().trailing_zeros() as usize % 64
}

// SAFETY: a block of a class is as large and as aligned as the class, and is in one list, of one thread,
// while nobody has it.
unsafe impl GlobalAlloc for Lists {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let class = class(layout);
        FREE.with(|free| {
            let block = free[class].get();
            if block.0.is_null() {
                let Ok(layout) = Layout::from_size_align(1 << class, 1 << class.min(12)) else {
                    return null_mut();
                };
                return unsafe { System.alloc(layout) };
            }
            free[class].set(unsafe { *block.0 });
            block.0.cast()
        })
    }

    #[inline(never)]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        let block = Block(ptr.cast());
        FREE.with(|free| {
            let next = free[class(layout)].replace(block);
            unsafe { block.0.write(next) };
        });
    }
}

/// The least that `tower::retry` can be told: replay every error. No budget, no backoff.
#[derive(Clone)]
struct Always;

impl<Res, E> Policy<reqwest::Request, Res, E> for Always {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut reqwest::Request,
        result: &mut Result<Res, E>,
    ) -> Option<Ready<()>> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &reqwest::Request) -> Option<reqwest::Request> {
        request.try_clone()
    }
}

impl<Res, E> Policy<http::Request<Full<Bytes>>, Res, E> for Always {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut http::Request<Full<Bytes>>,
        result: &mut Result<Res, E>,
    ) -> Option<Ready<()>> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(
        &mut self,
        request: &http::Request<Full<Bytes>>,
    ) -> Option<http::Request<Full<Bytes>>> {
        Some(request.clone())
    }
}

const BODY: Bytes = Bytes::from_static(&[b'x'; 256]);

fn by_reqwest(url: &str) -> Result<reqwest::Request, BoxError> {
    let mut request = reqwest::Request::new(reqwest::Method::PUT, url.parse()?);
    for (name, value) in HEADERS {
        request.headers_mut().insert(*name, value.parse()?);
    }
    *request.body_mut() = Some(BODY.into());
    Ok(request)
}

fn by_http(url: &str) -> Result<http::Request<Full<Bytes>>, BoxError> {
    let mut request = http::Request::put(url).body(Full::new(BODY))?;
    for (name, value) in HEADERS {
        request.headers_mut().insert(*name, value.parse()?);
    }
    Ok(request)
}

const HEADERS: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("accept", "application/json"),
    ("authorization", "Bearer 0123456789abcdef"),
    ("user-agent", "robot/1.0"),
    ("x-request-id", "8e03978e-40d5-43e8-bc93-6894a57f9324"),
];

async fn through_reqwest<S>(mut client: S, url: &str, calls: u64) -> Result<(), BoxError>
where
    S: Service<reqwest::Request, Response = reqwest::Response, Error: Into<BoxError>>,
{
    for _ in 0..calls {
        let ready = client.ready().await.map_err(Into::into)?;
        let answer = ready.call(by_reqwest(url)?).await.map_err(Into::into)?;
        answer.bytes().await?;
    }
    Ok(())
}

async fn through_http<S>(mut client: S, url: &str, calls: u64) -> Result<(), BoxError>
where
    S: Service<
            http::Request<Full<Bytes>>,
            Response = http::Response<hyper::body::Incoming>,
            Error: Into<BoxError>,
        >,
{
    for _ in 0..calls {
        let ready = client.ready().await.map_err(Into::into)?;
        let answer = ready.call(by_http(url)?).await.map_err(Into::into)?;
        answer.into_body().collect().await?;
    }
    Ok(())
}

const CASES: &[(&str, &str)] = &[
    ("reqwest", "bare client"),
    ("reqwest", "RetryOnConnErr"),
    ("reqwest", "  .never_give_up()"),
    ("reqwest", "  and Renew"),
    ("reqwest", "tower::retry"),
    ("reqwest", "  and a timeout"),
    ("reqwest", "reqwest-retry"),
    ("hyper-util", "bare client"),
    ("hyper-util", "RetryOnConnErr"),
    ("hyper-util", "  .never_give_up()"),
    ("hyper-util", "  and Renew"),
    ("hyper-util", "tower::retry"),
    ("hyper-util", "  and a timeout"),
    ("hyper, one connection", "bare client"),
    ("hyper, one connection", "RetryOnConnErr"),
    ("hyper, one connection", "  .never_give_up()"),
];

async fn run(case: &str, url: &str, calls: u64) -> Result<(), BoxError> {
    let reqwest = || reqwest::Client::builder().no_proxy().build();
    let hyper_util = || Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let connect = || Http1Connect::<_, Full<Bytes>>::new(connector());
    let uri = url.parse::<http::Uri>()?;
    match case {
        "0" => through_reqwest(reqwest()?, url, calls).await,
        "1" => through_reqwest(RetryOnConnErr.layer(reqwest()?), url, calls).await,
        "2" => {
            let layer = RetryOnConnErr::new().never_give_up();
            through_reqwest(layer.layer(reqwest()?), url, calls).await
        }
        "3" => {
            let client = reqwest()?;
            let client = Renew::new(move || client.clone());
            through_reqwest(RetryOnConnErr.layer(client), url, calls).await
        }
        "4" => through_reqwest(Retry::new(Always, reqwest()?), url, calls).await,
        "5" => through_reqwest(limited(Retry::new(Always, reqwest()?)), url, calls).await,
        "6" => {
            let policy = ExponentialBackoff::builder().build_with_max_retries(3);
            let retry = RetryTransientMiddleware::new_with_policy(policy);
            let client = ClientBuilder::new(reqwest()?).with(retry).build();
            for _ in 0..calls {
                let answer = client.execute(by_reqwest(url)?).await?;
                answer.bytes().await?;
            }
            Ok(())
        }
        "7" => through_http(hyper_util(), url, calls).await,
        "8" => through_http(RetryOnConnErr.layer(hyper_util()), url, calls).await,
        "9" => {
            let layer = RetryOnConnErr::new().never_give_up();
            through_http(layer.layer(hyper_util()), url, calls).await
        }
        "10" => {
            let client = Renew::new(hyper_util);
            through_http(RetryOnConnErr.layer(client), url, calls).await
        }
        "11" => through_http(Retry::new(Always, hyper_util()), url, calls).await,
        "12" => through_http(limited(Retry::new(Always, hyper_util())), url, calls).await,
        "13" => {
            let io = connector().oneshot(uri.clone()).await?;
            let (sender, connection) = hyper::client::conn::http1::handshake(io).await?;
            tokio::spawn(connection);
            through_http(Bare { sender, uri }, url, calls).await
        }
        "14" => {
            let client = Reconnect::to(connect(), uri);
            through_http(RetryOnConnErr.layer(client), url, calls).await
        }
        "15" => {
            let client = Reconnect::to(connect(), uri);
            through_http(
                RetryOnConnErr::new().never_give_up().layer(client),
                url,
                calls,
            )
            .await
        }
        other => Err(format!("no case {other}").into()),
    }
}

/// With a timer for each call, as `RetryOnConnErr` has one for `give_up_after`.
fn limited<S>(client: S) -> Timeout<S> {
    Timeout::new(client, Duration::from_secs(180))
}

fn connector() -> hyper_util::client::legacy::connect::HttpConnector {
    let mut connector = hyper_util::client::legacy::connect::HttpConnector::new();
    connector.set_nodelay(true);
    connector
}

/// hyper's connection, with what it wants of a request.
struct Bare {
    sender: hyper::client::conn::http1::SendRequest<Full<Bytes>>,
    uri: http::Uri,
}

impl Service<http::Request<Full<Bytes>>> for Bare {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future =
        std::pin::Pin<Box<dyn Future<Output = Result<Self::Response, hyper::Error>> + Send>>;

    fn poll_ready(
        &mut self,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), hyper::Error>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Full<Bytes>>) -> Self::Future {
        if let Some(host) = self.uri.authority() {
            if let Ok(host) = host.as_str().parse() {
                request.headers_mut().insert("host", host);
            }
        }
        *request.uri_mut() = http::Uri::from_static("/");
        Box::pin(self.sender.send_request(request))
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, BoxError> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}

const FEW: u64 = 50;
const MANY: u64 = 1_050;

fn instructions(case: usize, url: &str) -> Option<f64> {
    let count = |calls: u64| {
        let program = std::env::current_exe().ok()?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program)
            .args(["--case", &case.to_string(), url, &calls.to_string()])
            .output()
            .ok()?;
        let text = String::from_utf8(output.stderr).ok()?;
        let (_, count) = text.split_once("Collected : ")?;
        count.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some((count(MANY)? - count(FEW)?) / (MANY - FEW) as f64)
}

fn main() -> Result<(), BoxError> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [flag, case, url, calls] = &args[..] {
        if flag == "--case" {
            return runtime()?.block_on(run(case, url, calls.parse()?));
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let server = runtime.block_on(async { Server::started() })?;
    let url = server.url("/");
    if !args.iter().any(|arg| arg == "--bench") {
        // A test that it runs.
        return (0..CASES.len())
            .try_for_each(|case| self::runtime()?.block_on(run(&case.to_string(), &url, 1)));
    }
    println!("instructions of the client per request, its making and the answer included\n");
    let mut bare = 0.0;
    for (number, (client, name)) in CASES.iter().enumerate() {
        let count = instructions(number, &url).unwrap_or(f64::NAN);
        if *name == "bare client" {
            bare = count;
            println!("{client}");
        }
        println!("  {name:<20} {count:>8.0} {:>+8.0}", count - bare);
    }
    Ok(())
}
