//! Many callers on many threads, with time limits, cancellations, bounds and several destinations.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use tower_conn_retry::{Limits, Reason, WhenFull};

use super::peer::*;

const NAMES: [&str; 4] = ["", "a", "b", "c"];

fn stress(when_full: WhenFull, seed: u64) {
    let mut flaps = fastrand::Rng::with_seed(seed);
    let peer = Peer::new(move |_| match flaps.u8(..100) {
        0 => REFUSED,
        1..4 => RESET,
        4 => Does::Hang,
        5 => Does::Refuse,
        6..12 => Does::AnswerAfter(MS),
        _ => Does::Answer,
    });
    let layer = tower_conn_retry::RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(10 * MS))
        .attempt_timeout(20 * MS)
        .give_up_after(2 * SECOND)
        .limits(Limits::new().requests(20).bytes(1_550))
        .when_full(when_full);
    let service = peer.behind(layer);
    let links = service.links();
    let full = Arc::new(AtomicUsize::new(0));
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().unwrap();
    let counted = full.clone();
    let all = async move {
        let mut callers = JoinSet::new();
        for caller in 0..64u64 {
            let (service, full) = (service.clone(), counted.clone());
            callers.spawn(async move {
                let mut random = fastrand::Rng::with_seed(seed ^ (caller << 8));
                for number in 0..40 {
                    let to = NAMES[random.usize(..4)];
                    let message = Message {
                        to,
                        ..message(number)
                    };
                    let call = call(&service, message);
                    if random.u8(..5) == 0 {
                        tokio::task::yield_now().await; // called, and polled later
                    }
                    let end = match random.u8(..4) {
                        0 => timeout(random.u64(..30) as u32 * MS, call).await.ok(),
                        // Polled by one task, then by another.
                        1 => {
                            let mut call = Box::pin(call);
                            match timeout(MS, &mut call).await {
                                Ok(end) => Some(end),
                                Err(_) => tokio::spawn(call).await.ok(),
                            }
                        }
                        _ => Some(call.await),
                    };
                    if let Some(Err(error)) = end {
                        if error.reason() == Reason::QueueFull {
                            full.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        while let Some(end) = callers.join_next().await {
            end.unwrap();
        }
    };
    let limit = Duration::from_secs(60);
    runtime
        .block_on(async { timeout(limit, all).await })
        .expect("nobody hangs");
    assert_eq!(links.subscribe().borrow().waiting(), 0);
    for link in links.status() {
        assert_eq!((link.waiting(), link.waiting_bytes()), (0, 0));
    }
    assert_eq!(
        full.load(Ordering::Relaxed) > 0,
        when_full != WhenFull::Wait
    );
}

#[test]
fn callers_who_wait_for_a_place_all_end() {
    stress(WhenFull::Wait, 1);
}

#[test]
fn callers_who_push_out_others_all_end() {
    stress(WhenFull::DropOldest, 2);
}

#[test]
fn callers_who_are_rejected_all_end() {
    stress(WhenFull::Reject, 3);
}
