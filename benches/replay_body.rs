//! What a `ReplayBody` costs: heap allocations, and how many bytes they have, for a body that is read
//! once and for one that is read again. That it copies no data shows in the bytes.
//!
//! ```console
//! cargo bench --features http --bench replay_body
//! ```
//!
//! The numbers are exact, and the same on each run.

#![allow(missing_docs, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body, Frame};
use tower_conn_retry::ReplayBody;

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: all is done by `System`.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size() as u64, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Chunks that somebody else has allocated.
struct Chunks(VecDeque<Bytes>);

impl Body for Chunks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|chunk| Ok(Frame::data(chunk))))
    }
}

/// Reads to the end. Returns how much data there was.
fn read(body: impl Body<Data = Bytes>) -> usize {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut body = pin!(body);
    let mut read = 0;
    while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(cx) {
        read += black_box(frame).into_data().map_or(0, |data| data.len());
    }
    read
}

fn counted(what: &str, data: usize, f: impl FnOnce() -> usize) {
    let before = [&ALLOCATIONS, &BYTES].map(|count| count.load(Ordering::Relaxed));
    let read = f();
    let after = [&ALLOCATIONS, &BYTES].map(|count| count.load(Ordering::Relaxed));
    let [allocations, bytes] = [after[0] - before[0], after[1] - before[1]];
    println!("  {what:34} {allocations:6} {bytes:12}");
    assert_eq!(read, data, "{what}");
    assert!(bytes < data as u64, "{what}: data was copied");
}

fn main() {
    for (chunks, size) in [(1, 16 << 10), (64, 16 << 10), (1_024, 1 << 10)] {
        let data = chunks * size;
        let all: VecDeque<_> = (0..chunks)
            .map(|n| {
                let chunk = Bytes::from(vec![n as u8; size]);
                drop(chunk.clone()); // from here on it is shared, as what a connection has read is
                chunk
            })
            .collect();
        println!("{chunks} chunks of {size} bytes    allocations, bytes of them");
        let body = Chunks(all.clone());
        counted("bare body", data, || read(body));
        let body = Chunks(all.clone());
        counted("ReplayBody, not kept", data, || {
            let kept = ReplayBody::new(body, 0);
            read(kept.clone())
        });
        let body = Chunks(all.clone());
        counted("ReplayBody, kept", data, || {
            let kept = ReplayBody::new(body, data);
            read(kept.clone())
        });
        let kept = ReplayBody::new(Chunks(all.clone()), data);
        read(kept.clone());
        counted("ReplayBody, a replay", data, || read(kept.clone()));
    }
}
