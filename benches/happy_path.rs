//! What a call costs while all is well, beside the bare service and `tower::retry`, in instructions
//! and heap allocations.
//!
//! ```console
//! cargo bench --features http --bench happy_path
//! ```
//!
//! Needs valgrind, and nothing else: the program runs itself under callgrind, each case with few and
//! with many calls; the difference is exact, and the same on each run. Without valgrind it prints
//! the allocations only.

#![allow(missing_docs, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Debug;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::io;
use std::pin::{Pin, pin};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tower::retry::{Policy, Retry};
use tower::{Layer, Service};
use tower_conn_retry::RetryOnConnErr;

/// Counts allocations; one instruction each.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: all is done by `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Answers at the first poll.
#[derive(Clone)]
struct AtOnce;

impl<Req> Service<Req> for AtOnce {
    type Response = Req;
    type Error = io::Error;
    type Future = Ready<io::Result<Req>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        ready(Ok(request))
    }
}

/// A web server that answers at once, with the body that it was sent. (It does not give back the
/// request, which would be a larger answer than HTTP has.)
#[derive(Clone)]
struct Web;

impl Service<Request<Full<Bytes>>> for Web {
    type Response = http::Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        ready(Ok(http::Response::new(request.into_body())))
    }
}

/// Answers at the second poll, as everything does that goes over a network.
#[derive(Clone)]
struct Later;

struct Answer(Option<u64>, bool);

impl Service<u64> for Later {
    type Response = u64;
    type Error = io::Error;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        Answer(Some(request), false)
    }
}

impl Future for Answer {
    type Output = io::Result<u64>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if !std::mem::replace(&mut self.1, true) {
            return Poll::Pending;
        }
        Poll::Ready(self.0.take().ok_or(io::ErrorKind::Other.into()))
    }
}

/// The least that `tower::retry` can be told: replay every error. No budget, no backoff.
#[derive(Clone)]
struct Always;

impl<Req: Clone, Res, E> Policy<Req, Res, E> for Always {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut Req, result: &mut Result<Res, E>) -> Option<Ready<()>> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

/// The web server with one more copy of the request, which is thrown away.
#[derive(Clone)]
struct Copied;

impl Service<Request<Full<Bytes>>> for Copied {
    type Response = http::Response<Full<Bytes>>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        drop(black_box(request.clone()));
        Web.call(request)
    }
}

/// One call, from readiness to the answer.
#[inline(never)]
fn one<S, Req>(service: &mut S, request: Req)
where
    S: Service<Req>,
    S::Error: Debug,
{
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(service.poll_ready(cx).is_ready());
    let mut future = pin!(service.call(request));
    while future.as_mut().poll(cx).map(black_box).is_pending() {}
}

fn many<S, Req>(mut service: S, calls: u64, request: impl Fn() -> Req)
where
    S: Service<Req>,
    S::Error: Debug,
{
    for _ in 0..calls {
        one(black_box(&mut service), black_box(request()));
    }
}

fn number() -> u64 {
    7
}

fn post() -> impl Fn() -> Request<Full<Bytes>> {
    let request = Request::put("http://robot.example:8080/rooms/7/position?floor=2")
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("authorization", "Bearer 0123456789abcdef")
        .header("user-agent", "robot/1.0")
        .header("x-request-id", "8e03978e-40d5-43e8-bc93-6894a57f9324")
        .body(Full::new(Bytes::from(vec![b'x'; 256])))
        .expect("a request");
    move || request.clone()
}

type Case = (&'static str, &'static str, fn(u64));

const CASES: &[Case] = &[
    ("u64", "bare service", |n| many(AtOnce, n, number)),
    ("u64", "RetryOnConnErr", |n| {
        many(RetryOnConnErr.layer(AtOnce), n, number)
    }),
    ("u64", "tower::retry", |n| {
        many(Retry::new(Always, AtOnce), n, number)
    }),
    ("u64, pending once", "bare service", |n| {
        many(Later, n, number)
    }),
    ("u64, pending once", "RetryOnConnErr", |n| {
        many(RetryOnConnErr.layer(Later), n, number)
    }),
    ("u64, pending once", "  .never_give_up()", |n| {
        many(
            RetryOnConnErr::new().never_give_up().layer(Later),
            n,
            number,
        )
    }),
    ("u64, pending once", "tower::retry", |n| {
        many(Retry::new(Always, Later), n, number)
    }),
    ("http, 5 headers", "bare service", |n| many(Web, n, post())),
    ("http, 5 headers", "  and a copy", |n| {
        many(Copied, n, post())
    }),
    ("http, 5 headers", "RetryOnConnErr", |n| {
        many(RetryOnConnErr.layer(Web), n, post())
    }),
    ("http, 5 headers", "tower::retry", |n| {
        many(Retry::new(Always, Web), n, post())
    }),
];

const FEW: u64 = 100;
const MANY: u64 = 10_100;

fn run(case: usize, calls: u64) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _context = runtime.enter();
    CASES[case].2(calls);
}

fn allocations(case: usize) -> f64 {
    let count = |calls| {
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        run(case, calls);
        ALLOCATIONS.load(Ordering::Relaxed) - before
    };
    count(FEW); // what is allocated once
    (count(MANY) - count(FEW)) as f64 / (MANY - FEW) as f64
}

fn instructions(case: usize) -> Option<f64> {
    let count = |calls: u64| {
        let program = std::env::current_exe().ok()?;
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program)
            .args(["--case", &case.to_string(), &calls.to_string()])
            .output()
            .ok()?;
        let text = String::from_utf8(output.stderr).ok()?;
        let (_, count) = text.split_once("Collected : ")?;
        count.split_whitespace().next()?.parse::<f64>().ok()
    };
    Some((count(MANY)? - count(FEW)?) / (MANY - FEW) as f64)
}

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    if let [flag, case, calls] = &args[..] {
        if let ("--case", Ok(case), Ok(calls)) = (&**flag, case.parse(), calls.parse()) {
            return run(case, calls);
        }
    }
    if !args.iter().any(|arg| arg == "--bench") {
        return (0..CASES.len()).for_each(|case| run(case, 1)); // a test that it runs
    }
    println!("instructions and allocations per call, the making of the request included\n");
    let mut bare = (0.0, 0.0);
    for (number, (request, name, _)) in CASES.iter().enumerate() {
        let allocations = allocations(number);
        let instructions = instructions(number).unwrap_or(f64::NAN);
        if *name == "bare service" {
            bare = (instructions, allocations);
            println!("{request:<22} {:>13} {:>13}", "instructions", "allocations");
        }
        println!(
            "  {name:<20} {instructions:>6.0} {:>+6.0} {allocations:>6.2} {:>+6.2}",
            instructions - bare.0,
            allocations - bare.1,
        );
    }
}
