//! What an outbox costs.
//!
//! - Calls that are deferred to a file, by 1, 10 and 1,000 concurrent callers, beside the engine alone with
//!   as many messages in each commit, in turns, on the same disk.
//! - The drain of a million messages from memory, beside a `VecDeque` of the same messages for the same
//!   service, whose head is cloned, and popped when that was answered. The same: a first attempt has
//!   failed. Who clones such [`Bytes`] first allocates what all clones share, so beside the messages there
//!   is that, to be fetched and freed. (For one whose messages nobody has cloned before, only the time.)
//! - A file with a million messages.
//!
//! ```console
//! cargo bench --bench outbox --features outbox-disk [-- DIRECTORY]
//! cargo bench --bench outbox --features outbox-disk -- --drain    # only that, for a profiler
//! ```

#![allow(missing_docs)]

use std::collections::VecDeque;
use std::fs;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "this measures real time")]
use std::time::Instant;

use bytes::Bytes;
use redb::{Database, TableDefinition};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::outbox::{Changes, DiskStore, Message, Raw, Store};
use tower_conn_retry::{
    BoxError, ConnRetry, DefaultPolicy, Limits, Outbox, OutboxBuilder, RetryOnConnErr, Ticket,
};
use tower_conn_retry::{ByTrait, Destination};

const TABLE: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("raw");
const BYTES: [u8; 64] = [7; 64];
const MILLION: u64 = 1_000_000;

/// Refuses connections, or answers at once.
#[derive(Clone, Default)]
struct Peer {
    up: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
}

impl Service<Bytes> for Peer {
    type Response = usize;
    type Error = std::io::Error;
    type Future = Ready<Result<usize, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Bytes) -> Self::Future {
        ready(match self.up.load(Ordering::Relaxed) {
            true => {
                self.answers.fetch_add(1, Ordering::Relaxed);
                Ok(request.len())
            }
            false => Err(std::io::ErrorKind::ConnectionRefused.into()),
        })
    }
}

type Client = ConnRetry<Peer, DefaultPolicy, ByTrait, Outbox<Bytes>>;

fn builder() -> OutboxBuilder<Bytes> {
    Outbox::builder().limits(Limits::new().requests(2_000_000).bytes(1 << 30))
}

fn client(outbox: &Outbox<Bytes>, peer: &Peer) -> Client {
    RetryOnConnErr::new()
        .outbox(outbox.clone())
        .layer(peer.clone())
}

fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1).filter(|it| it != "--bench");
    let argument = arguments.next();
    if argument.as_deref() == Some("--drain") {
        return drain();
    }
    let directory = argument.map_or_else(std::env::temp_dir, PathBuf::from);
    let file = |name: &str| directory.join(format!("bench-{}-{name}", std::process::id()));
    let (ours, raw) = (file("outbox"), file("raw"));
    let done = drain()
        .and_then(|()| deferred(&ours, &raw))
        .and_then(|()| million(&ours));
    let _ = (fs::remove_file(ours), fs::remove_file(raw));
    done
}

fn runtime() -> Result<Runtime, BoxError> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    Ok(builder.worker_threads(2).enable_all().build()?)
}

/// Calls per second that are deferred to a file.
fn deferred(ours: &Path, raw: &Path) -> Result<(), BoxError> {
    let runtime = runtime()?;
    let mut engine = Database::builder();
    // As the outbox sets it.
    engine
        .set_cache_size(8 << 20)
        .create_with_file_format_v3(true);
    let engine = engine.create(raw)?;
    println!("\ndeferred to a file, messages per second\ncallers      engine    outbox  ratio");
    let mut next = 0;
    for (callers, messages) in [(1, 2_000), (10, 10_000), (1_000, 100_000)] {
        let outbox = {
            let _entered = runtime.enter();
            builder().open(ours, Raw)?
        };
        let peer = Peer::default();
        let client = {
            let _entered = runtime.enter();
            client(&outbox, &peer)
        };
        let (mut theirs, mut own) = (Duration::ZERO, Duration::ZERO);
        for _ in 0..10 {
            let slice = messages / 10;
            theirs += time(|| {
                (0..slice / callers).try_for_each(|_| {
                    next += callers;
                    commit(&engine, next..next + callers)
                })
            })?;
            own += time(|| runtime.block_on(calls(&client, callers, slice / callers)))?;
        }
        let [theirs, own] = [theirs, own].map(|took| messages as f64 / took.as_secs_f64());
        println!("{callers:>7}{theirs:>12.0}{own:>10.0}{:>7.2}", theirs / own);
        runtime.block_on(outbox.close(Duration::ZERO));
        fs::remove_file(ours)?;
    }
    Ok(())
}

/// So many callers, each with so many calls.
async fn calls(client: &Client, callers: u64, calls: u64) -> Result<(), BoxError> {
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let mut client = client.clone();
        tasks.spawn(async move {
            for _ in 0..calls {
                let call = client.ready().await?.call(Bytes::from_static(&BYTES));
                match call.await {
                    Err(error) if error.is_deferred() => {}
                    other => return Err(BoxError::from(format!("{other:?}"))),
                }
            }
            Ok(())
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// The engine alone.
fn commit(engine: &Database, numbers: std::ops::Range<u64>) -> Result<(), BoxError> {
    let transaction = engine.begin_write()?;
    let mut table = transaction.open_table(TABLE)?;
    for number in numbers {
        table.insert((1, number), &BYTES[..])?;
    }
    drop(table);
    Ok(transaction.commit()?)
}

fn own_message(number: u64) -> Bytes {
    let mut bytes = BYTES;
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    Bytes::copy_from_slice(&bytes)
}

/// Nanoseconds for each message that leaves memory.
fn drain() -> Result<(), BoxError> {
    println!("drain of a million messages of 64 bytes from memory");
    let plain = |attempted: bool| -> Result<f64, BoxError> {
        let mut peer = Peer::default();
        let stored = |number| {
            let message = own_message(number);
            if attempted {
                drop(peer.call(message.clone()));
            }
            message
        };
        let mut queue: VecDeque<Bytes> = (0..MILLION).map(stored).collect();
        peer.up.store(true, Ordering::Relaxed);
        let took = time(|| {
            while let Some(head) = queue.front() {
                black_box(peer.call(black_box(head.clone())).into_inner()?);
                queue.pop_front();
            }
            drop(queue); // as the outbox does
            Ok(())
        })?;
        assert_eq!(peer.answers.load(Ordering::Relaxed), MILLION);
        Ok(took.as_nanos() as f64 / MILLION as f64)
    };
    let ours = || -> Result<(f64, u64), BoxError> {
        let runtime = runtime()?;
        let _entered = runtime.enter();
        let outbox = builder().in_memory();
        let peer = Peer::default();
        let client = client(&outbox, &peer);
        let before = memory();
        runtime.block_on(fill(&client))?;
        let bytes = (memory().saturating_sub(before) << 10) / MILLION;
        peer.up.store(true, Ordering::Relaxed);
        let took = time(|| {
            runtime.block_on(async {
                client.links().wake();
                outbox.flush().await;
            });
            Ok(())
        })?;
        assert_eq!(peer.answers.load(Ordering::Relaxed), MILLION);
        Ok((took.as_nanos() as f64 / MILLION as f64, bytes))
    };
    let mut first = None;
    for _ in 0..3 {
        // First, so that no memory is used a second time.
        let (own, bytes) = ours()?;
        let bytes = *first.get_or_insert(bytes);
        let (queue, fresh) = (plain(true)?, plain(false)?);
        println!(
            "VecDeque {queue:.0} ns (never cloned: {fresh:.0}), outbox {own:.0} ns, ratio {:.2} ({:.2}); \
             {bytes} bytes of memory for each",
            own / queue,
            own / fresh
        );
    }
    println!("(the bytes of a message are among them: 64, and what their allocation takes)");
    Ok(())
}

async fn fill(client: &Client) -> Result<(), BoxError> {
    let mut client = client.clone();
    for number in 0..MILLION {
        let call = client.ready().await?.call(own_message(number));
        match call.await {
            Err(error) if error.is_deferred() => {}
            other => return Err(format!("{other:?}").into()),
        }
    }
    Ok(())
}

/// Opens a file with a million messages.
fn million(ours: &Path) -> Result<(), BoxError> {
    let mut store = DiskStore::<Bytes, Raw>::open(ours, Raw)?;
    for from in (0..MILLION).step_by(10_000) {
        let message = |number| Message {
            ticket: Ticket::new(number),
            destination: Destination::default(),
            request: own_message(number),
            size: BYTES.len(),
            since: Duration::ZERO,
            attempts: 1,
            maybe_sent: true,
            max_age: None,
        };
        store.commit(Changes {
            put: (from..from + 10_000).map(message).collect(),
            remove: Vec::new(),
            clock: Duration::ZERO,
        })?;
    }
    drop(store);
    let before = memory();
    let mut outbox = None;
    let took = time(|| {
        outbox = Some(builder().open(ours, Raw)?);
        Ok(())
    })?;
    let len = outbox.as_ref().map_or(0, Outbox::len);
    let more = memory().saturating_sub(before);
    println!("\na file with {len} messages: opened in {took:.2?}, {more} KiB more memory");
    let runtime = runtime()?;
    let _entered = runtime.enter();
    let peer = Peer::default();
    peer.up.store(true, Ordering::Relaxed);
    if let Some(outbox) = outbox {
        let took = time(|| {
            let _client = client(&outbox, &peer);
            runtime.block_on(outbox.flush());
            Ok(())
        })?;
        let rate = MILLION as f64 / took.as_secs_f64();
        let more = memory().saturating_sub(before);
        println!("drained in {took:.2?}: {rate:.0} messages per second, {more} KiB more memory");
    }
    Ok(())
}

#[expect(clippy::disallowed_types, reason = "this measures real time")]
fn time(run: impl FnOnce() -> Result<(), BoxError>) -> Result<Duration, BoxError> {
    let start = Instant::now();
    run()?;
    Ok(start.elapsed())
}

/// What the process has in memory, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
