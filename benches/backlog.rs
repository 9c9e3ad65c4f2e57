//! What a request costs that is held: the memory beside itself, and the time to join, to leave and to
//! be released, with many others waiting. Each should stay the same down the column.
//!
//! ```console
//! cargo bench --bench backlog
//! ```

#![allow(missing_docs, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::future::{Future, Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
#[expect(clippy::disallowed_types, reason = "this measures real time")]
use std::time::Instant;

use tower::{Layer, Service};
use tower_conn_retry::{Limits, RetryOnConnErr};

/// Knows how much is allocated.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is done by `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A peer that is there or not.
#[derive(Clone)]
struct Peer(Arc<AtomicBool>);

impl Service<u64> for Peer {
    type Response = u64;
    type Error = io::Error;
    type Future = Ready<io::Result<u64>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        let there = self.0.load(Ordering::Relaxed);
        ready(match there {
            true => Ok(request),
            false => Err(io::ErrorKind::ConnectionRefused.into()),
        })
    }
}

#[derive(Clone, Copy)]
enum Leaves {
    OldestFirst,
    NewestFirst,
    AsDrawn,
}

struct Row {
    /// Bytes of heap for each, its future not included.
    heap: f64,
    future: usize,
    join: f64,
    /// Nanoseconds each.
    end: f64,
}

/// Holds this many requests, then ends them all: by an answer, or in some order without one.
fn measure(many: usize, leaves: Option<Leaves>) -> Row {
    let there = Arc::new(AtomicBool::new(false));
    let mut service = RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(Duration::from_secs(3600)))
        .limits(Limits::new().requests(usize::MAX).bytes(usize::MAX))
        .layer(Peer(there.clone()));
    let cx = &mut Context::from_waker(Waker::noop());
    let mut futures = Vec::with_capacity(many + 1);
    let mut call = |number, cx: &mut Context<'_>| {
        assert!(service.poll_ready(cx).is_ready());
        let mut future = service.call(number);
        assert!(Pin::new(&mut future).poll(cx).is_pending());
        Some(future)
    };
    futures.push(call(0, cx)); // takes the link down, and has the timers
    let before = BYTES.load(Ordering::Relaxed);
    #[expect(clippy::disallowed_types)]
    let began = Instant::now();
    futures.extend((0..many as u64).map(|number| call(number, cx)));
    let join = began.elapsed().as_nanos() as f64 / many as f64;
    let heap = (BYTES.load(Ordering::Relaxed) - before) as f64 / many as f64;
    let future = futures.first().map_or(0, size_of_val);

    match leaves {
        Some(Leaves::OldestFirst) => {}
        Some(Leaves::NewestFirst) => futures.reverse(),
        Some(Leaves::AsDrawn) => {
            let mut random: usize = 1;
            for at in (1..futures.len()).rev() {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
                futures.swap(at, (random >> 33) % (at + 1));
            }
        }
        None => {
            there.store(true, Ordering::Relaxed);
            service.links().wake();
        }
    }
    #[expect(clippy::disallowed_types)]
    let began = Instant::now();
    for slot in &mut futures {
        if let Some(mut future) = slot.take().filter(|_| leaves.is_none()) {
            let answer = Pin::new(&mut future).poll(cx);
            assert!(matches!(answer, Poll::Ready(Ok(_))));
        }
    }
    let end = began.elapsed().as_nanos() as f64 / many as f64;
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
    Row {
        heap,
        future,
        join,
        end,
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    let _context = runtime.enter();
    let bench = std::env::args().any(|arg| arg == "--bench");
    let sizes: &[usize] = match bench {
        true => &[1_000, 10_000, 100_000, 1_000_000],
        false => &[10], // a test that it runs
    };
    println!(
        "held requests (u64): bytes each, and nanoseconds each to join, to be released in order, to leave\n"
    );
    println!(
        "{:>9} {:>10} {:>8} {:>8} {:>8} {:>12} {:>12} {:>12}",
        "waiting", "heap", "future", "join", "release", "oldest first", "newest first", "at random"
    );
    for many in sizes {
        let row = measure(*many, None);
        let [oldest, newest, drawn] = [Leaves::OldestFirst, Leaves::NewestFirst, Leaves::AsDrawn]
            .map(|leaves| measure(*many, Some(leaves)).end);
        println!(
            "{many:>9} {:>10.1} {:>8} {:>8.0} {:>8.0} {oldest:>12.0} {newest:>12.0} {drawn:>12.0}",
            row.heap, row.future, row.join, row.end
        );
    }
}
