//! Rules 4, 5 and 17: what starts an attempt in an outage, and what must not.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::RetryOnConnErr;

use super::peer::*;

/// Callers with a timeout of their own around the layer, and a peer that is silent: each of them gives
/// its probe up.
#[tokio::test(start_paused = true)]
async fn rule_4_callers_who_lose_their_patience_do_not_each_make_an_attempt() {
    for pause in [0, 10] {
        let peer = Peer::that(REFUSED);
        let service = peer.behind(RetryOnConnErr::new());
        let first = send(&service, message(0));
        settle().await;
        first.abort();
        settle().await;
        peer.now_does(Does::Hang);
        peer.forget_attempts();
        for n in 0..1_000 {
            tokio::spawn(timeout(5 * SECOND, service.clone().oneshot(message(n))));
            pass(pause * MS).await;
        }
        pass(60 * SECOND).await;
        // A few at once, then pauses of up to a second.
        assert!(peer.attempts().len() <= 20, "{}", peer.attempts().len());
        let gaps = peer.times();
        let short = gaps.windows(2).filter(|of| of[1] - of[0] < 10 * MS).count();
        assert!(short <= 3, "{short}");
    }
}

/// A connection that keeps the wakers of attempts that are over.
#[tokio::test(start_paused = true)]
async fn rule_17_a_waker_of_a_former_attempt_says_nothing_about_the_present_one() {
    let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
    let attempts = Arc::new(AtomicUsize::new(0));
    let (kept, counted) = (wakers.clone(), attempts.clone());
    let inner = service_fn(move |_: u64| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        let kept = kept.clone();
        async move {
            if number == 1 {
                let keep = |cx: &mut Context<'_>| {
                    kept.lock().unwrap().push(cx.waker().clone());
                    Poll::<()>::Pending
                };
                std::future::poll_fn(keep).await;
            }
            if number > 1 {
                pass(30 * SECOND).await; // slow, and polled
            }
            Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused))
        }
    });
    let layer = steady().attempt_timeout(60 * SECOND).never_give_up();
    let service = layer.layer(inner);
    let _first = tokio::spawn(service.clone().oneshot(1));
    pass(MS).await;
    let _second = tokio::spawn(service.clone().oneshot(2));
    pass(61 * SECOND).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 3, "the second probe");
    let stale = std::mem::take(&mut *wakers.lock().unwrap());
    assert!(!stale.is_empty());
    stale.into_iter().for_each(Waker::wake);
    pass(10 * SECOND).await;
    assert_eq!(attempts.load(Ordering::SeqCst), 3);
}

/// A client that is not ready while the gate is shut.
#[derive(Clone)]
struct Gated {
    client: Client,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    shut: AtomicBool,
    waiting: Mutex<Vec<Waker>>,
}

impl Gate {
    fn open(&self) {
        self.shut.store(false, Ordering::Relaxed);
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap());
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Service<Message> for Gated {
    type Response = u64;
    type Error = io::Error;
    type Future = <Client as Service<Message>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gate.shut.load(Ordering::Relaxed) {
            self.gate.waiting.lock().unwrap().push(cx.waker().clone());
            return Poll::Pending;
        }
        self.client.poll_ready(cx)
    }

    fn call(&mut self, message: Message) -> Self::Future {
        self.client.call(message)
    }
}

#[tokio::test(start_paused = true)]
async fn rule_4_a_replay_that_waited_for_readiness_does_not_go_out_in_an_outage() {
    let peer = Peer::that(Does::FailAfter(10 * MS, io::ErrorKind::ConnectionReset));
    let gate = Arc::new(Gate::default());
    let gated = Gated {
        client: peer.client(),
        gate: gate.clone(),
    };
    let service = steady().layer(gated);
    let calls: Vec<_> = (0..10)
        .map(|n| tokio::spawn(service.clone().oneshot(message(n))))
        .collect();
    pass(5 * MS).await;
    peer.now_does(Does::FailAfter(7 * MS, io::ErrorKind::ConnectionRefused));
    let other = tokio::spawn(service.clone().oneshot(message(50)));
    settle().await;
    gate.shut.store(true, Ordering::Relaxed);
    // After 10 ms all are reset and wait for readiness; after 12 ms the link is down.
    for _ in 0..10 {
        pass(MS).await;
    }
    assert_eq!(service.links().subscribe().borrow().down(), 1);
    peer.forget_attempts();
    gate.open();
    settle().await;
    assert!(peer.attempts().is_empty());
    peer.now_does(Does::Answer);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    other.await.unwrap().unwrap();
    assert_eq!(peer.attempts(), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 50]);
}
