//! What `tcp` and `Reconnect` cost beside hand-written framing, over loopback, in the same run.
//!
//! ```console
//! cargo bench --features tcp --bench tcp
//! ```
//!
//! - 1,000 in flight: one task keeps a window of a thousand requests; the hand-written loop has the
//!   same window over a `Framed`, batched by hand. Then a thousand tasks, each with one request.
//! - One at a time: against a bare `Framed` ping-pong.
//! - How long after a listener is back the first request gets through, with a backoff of at most
//!   250 ms, and how much of it is not the backoff's delay. The delay is uniform in [10 ms, 250 ms]
//!   by then, and the listener comes back at any moment of it: see `recovery`.
//!
//! The contenders take turns, round by round; a ratio is one of neighbours in the same round. The
//! server echoes bytes on a thread of its own.

#![allow(missing_docs, unsafe_code)]

#[path = "tcp/recovery.rs"]
mod recovery;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::net::SocketAddr;
#[expect(clippy::disallowed_types, reason = "this measures real time")]
use std::time::Instant;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tower::{Service, ServiceExt as _};
use tower_conn_retry::{BoxError, Reconnect, tcp};

/// Counts the allocations of the thread that asks.
struct Counting;

thread_local! {
    static ALLOCATIONS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

// SAFETY: all is done by `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.realloc(ptr, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const IN_FLIGHT: usize = 1_000;

type Client = tcp::Client<Bytes, bytes::BytesMut>;

/// What a contender needs for one round, and takes over into the next.
struct Peer {
    framed: Framed<TcpStream, LengthDelimitedCodec>,
    client: Client,
    reconnect: Reconnect<Connector>,
}

type Connector = tcp::Connector<fn() -> LengthDelimitedCodec, Bytes>;

impl Peer {
    async fn new(address: SocketAddr) -> Result<Self, BoxError> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let mut connector: Connector = tcp::Connector::new(address, LengthDelimitedCodec::new);
        let client = connector.call(()).await?;
        let mut reconnect = Reconnect::new(connector);
        reconnect.call(Bytes::from("connects")).await?;
        Ok(Self {
            framed: Framed::new(stream, LengthDelimitedCodec::new()),
            client,
            reconnect,
        })
    }
}

/// Batched by hand: fills the window, flushes once, takes all answers that are there.
async fn window_framed(peer: &mut Peer, message: &Bytes, count: usize) -> Result<(), BoxError> {
    let framed = &mut peer.framed;
    framed.set_backpressure_boundary(usize::MAX);
    let (mut sent, mut answered) = (0, 0);
    while answered < count {
        while sent < count && sent - answered < IN_FLIGHT {
            framed.feed(message.clone()).await?;
            sent += 1;
        }
        SinkExt::<Bytes>::flush(framed).await?;
        let mut next = framed.next().await;
        loop {
            let answer = next.ok_or("the end")??;
            debug_assert_eq!(answer.len(), message.len());
            answered += 1;
            match futures_util::FutureExt::now_or_never(framed.next()) {
                Some(more) => next = more,
                None => break,
            }
        }
    }
    Ok(())
}

/// The same through a service.
async fn window_service<S>(service: &mut S, message: &Bytes, count: usize) -> Result<(), BoxError>
where
    S: Service<Bytes, Error: Into<BoxError>, Future: Unpin>,
{
    let mut window = VecDeque::with_capacity(IN_FLIGHT);
    for _ in 0..count {
        if window.len() == IN_FLIGHT {
            if let Some(oldest) = window.pop_front() {
                let oldest: S::Future = oldest;
                oldest.await.map_err(Into::into)?;
            }
        }
        let service = service.ready().await.map_err(Into::into)?;
        window.push_back(service.call(message.clone()));
    }
    for call in window {
        call.await.map_err(Into::into)?;
    }
    Ok(())
}

/// A thousand callers with one request each.
async fn tasks<S>(service: &S, message: &Bytes, count: usize) -> Result<(), BoxError>
where
    S: Service<Bytes, Error: Into<BoxError>, Future: Send> + Clone + Send + 'static,
{
    let mut callers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (mut service, message) = (service.clone(), message.clone());
        callers.spawn(async move {
            for _ in 0..count / IN_FLIGHT {
                let ready = service.ready().await.map_err(Into::into)?;
                ready.call(message.clone()).await.map_err(Into::into)?;
            }
            Ok::<_, BoxError>(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    Ok(())
}

async fn one_by_one_framed(peer: &mut Peer, message: &Bytes, count: usize) -> Result<(), BoxError> {
    for _ in 0..count {
        peer.framed.send(message.clone()).await?;
        peer.framed.next().await.ok_or("the end")??;
    }
    Ok(())
}

async fn one_by_one<S>(service: &mut S, message: &Bytes, count: usize) -> Result<(), BoxError>
where
    S: Service<Bytes, Error: Into<BoxError>>,
{
    for _ in 0..count {
        let ready = service.ready().await.map_err(Into::into)?;
        ready.call(message.clone()).await.map_err(Into::into)?;
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Contender {
    WindowFramed,
    WindowClient,
    WindowReconnect,
    TasksClient,
    OneByOneFramed,
    OneByOneClient,
    OneByOneReconnect,
}

use Contender::*;

impl Contender {
    async fn run(self, peer: &mut Peer, message: &Bytes, count: usize) -> Result<(), BoxError> {
        match self {
            WindowFramed => window_framed(peer, message, count).await,
            WindowClient => window_service(&mut peer.client, message, count).await,
            WindowReconnect => window_service(&mut peer.reconnect, message, count).await,
            TasksClient => tasks(&peer.client, message, count).await,
            OneByOneFramed => one_by_one_framed(peer, message, count).await,
            OneByOneClient => one_by_one(&mut peer.client, message, count).await,
            OneByOneReconnect => one_by_one(&mut peer.reconnect, message, count).await,
        }
    }

    /// Nanoseconds and allocations for each message.
    async fn measure(self, peer: &mut Peer, message: &Bytes, count: usize) -> (f64, f64) {
        let allocations = ALLOCATIONS.get();
        let begun = now();
        self.run(peer, message, count)
            .await
            .expect("loopback does not break");
        let count = count as f64;
        (
            begun.elapsed().as_nanos() as f64 / count,
            (ALLOCATIONS.get() - allocations) as f64 / count,
        )
    }
}

struct Table {
    title: &'static str,
    contenders: &'static [(&'static str, Contender)],
    messages: usize,
}

/// The first of each is what the others are compared with.
const TABLES: &[Table] = &[
    Table {
        title: "1,000 in flight",
        contenders: &[
            ("Framed, batched by hand", WindowFramed),
            ("tcp::Client", WindowClient),
            ("Reconnect", WindowReconnect),
            ("tcp::Client, 1,000 tasks", TasksClient),
        ],
        messages: 100_000,
    },
    Table {
        title: "one at a time",
        contenders: &[
            ("Framed, ping-pong", OneByOneFramed),
            ("tcp::Client", OneByOneClient),
            ("Reconnect", OneByOneReconnect),
        ],
        messages: 2_000,
    },
];

const ROUNDS: usize = 15;

async fn table(table: &Table, address: SocketAddr, size: usize, rounds: usize, messages: usize) {
    let message = Bytes::from(vec![7; size]);
    let mut peer = Peer::new(address).await.expect("loopback");
    let mut rows = vec![Vec::new(); table.contenders.len()];
    for round in 0..=rounds {
        for (row, (_, contender)) in rows.iter_mut().zip(table.contenders) {
            let figures = contender.measure(&mut peer, &message, messages).await;
            // The first one warms up.
            if round > 0 {
                row.push(figures);
            }
        }
    }
    println!("\n{}, {size} B{:>24}", table.title, "");
    println!(
        "  {:<26} {:>9} {:>9} {:>8} {:>8} {:>12}",
        "", "ns (min)", "(median)", "× (min)", "(median)", "allocations"
    );
    for (row, (name, _)) in rows.iter().zip(table.contenders) {
        let (ns, allocations): (Vec<_>, Vec<_>) = row.iter().copied().unzip();
        let ratios = row.iter().zip(&rows[0]).map(|(row, base)| row.0 / base.0);
        println!(
            "  {name:<26} {:>9.0} {:>9.0} {:>8.2} {:>8.2} {:>12.2}",
            min(&ns),
            median(ns.clone()),
            min(&ns) / min(&rows[0].iter().map(|(ns, _)| *ns).collect::<Vec<_>>()),
            median(ratios.collect()),
            median(allocations),
        );
    }
}

fn min(figures: &[f64]) -> f64 {
    figures.iter().copied().fold(f64::INFINITY, f64::min)
}

fn median(figures: Vec<f64>) -> f64 {
    quantile(figures, 0.5)
}

fn quantile(mut figures: Vec<f64>, part: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let last = figures.len().saturating_sub(1);
    let place = (last as f64 * part).round() as usize;
    figures.get(place).copied().unwrap_or(f64::NAN)
}

#[expect(clippy::disallowed_types, reason = "this measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// Echoes bytes, on a thread of its own.
fn echo_server() -> SocketAddr {
    let (address, bound) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let _ = address.send(listener.local_addr().expect("its address"));
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    let mut buffer = vec![0; 256 * 1024];
                    while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                        if stream.write_all(&buffer[..n]).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
    });
    bound.recv().expect("the server has begun")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let bench = args.iter().any(|arg| arg == "--bench");
    let address = echo_server();
    // For a profiler: `tcp-… --only NUMBER SIZE MESSAGES`.
    if let [flag, number, size, messages] = &args[..] {
        if let ("--only", Ok(number), Ok(size), Ok(messages)) = (
            &**flag,
            number.parse::<usize>(),
            size.parse(),
            messages.parse(),
        ) {
            let contenders = TABLES.iter().flat_map(|table| table.contenders);
            let (name, contender) = contenders.into_iter().nth(number).expect("a contender");
            return runtime().block_on(async {
                let mut peer = Peer::new(address).await.expect("loopback");
                let message = Bytes::from(vec![7; size]);
                let figures = contender.measure(&mut peer, &message, messages).await;
                println!("{name}: {figures:?}");
            });
        }
    }
    // Without `--bench`: a test that it runs.
    let (rounds, part) = if bench { (ROUNDS, 1) } else { (1, 50) };
    for t in TABLES {
        for size in [64, 1024] {
            runtime().block_on(table(t, address, size, rounds, t.messages / part));
        }
    }
    runtime().block_on(recovery::table(bench));
}
