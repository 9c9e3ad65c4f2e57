//! Rules 11, 15 and 17: callers who leave, panic or stall.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::FutureExt;
use tokio::time::timeout;
use tower_conn_retry::{ConnErrorPolicy, Decision, Failure, RetryOnConnErr};

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn rule_11_a_dropped_waiter_frees_its_place_at_once() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let calls = burst(&service, 0..10);
    settle().await;
    assert_eq!(service.links().status()[0].waiting(), 10);
    for call in &calls[3..7] {
        call.abort();
    }
    settle().await;
    assert_eq!(service.links().status()[0].waiting(), 6);
    assert_eq!(service.links().status()[0].waiting_bytes(), 600);
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    for (_, call) in calls
        .into_iter()
        .enumerate()
        .filter(|(n, _)| !(3..7).contains(n))
    {
        call.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), [0, 1, 2, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn rule_11_a_dropped_probe_goes_to_the_next_in_line() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(RetryOnConnErr::new().backoff(|| std::iter::repeat(10 * SECOND)));
    let calls = burst(&service, 0..3);
    settle().await;
    peer.forget_attempts();
    peer.now(|message| {
        if message.number == 2 {
            Does::Answer
        } else {
            Does::Hang
        }
    });
    pass(11 * SECOND).await;
    assert_eq!(peer.attempts(), [0]);
    calls[0].abort();
    settle().await;
    assert_eq!(peer.attempts(), [0, 1], "at once");
    calls[1].abort();
    settle().await;
    assert_eq!(peer.attempts(), [0, 1, 2]);
    assert!(calls[2].is_finished());
}

#[tokio::test(start_paused = true)]
async fn rule_11_the_head_can_be_dropped_at_any_point() {
    // The head is dropped: while it waits for its probe, at the very moment, and in the probe.
    for after in [50, 100, 150] {
        let peer = Peer::that(REFUSED);
        let service = peer.behind(steady());
        let head = send(&service, message(0));
        let next = send(&service, message(1));
        settle().await;
        peer.now(|message| {
            if message.number == 0 {
                Does::Hang
            } else {
                Does::Answer
            }
        });
        pass(after * MS).await;
        head.abort();
        assert_eq!(next.await.unwrap().unwrap(), 1, "after {after} ms");
        assert_eq!(service.links().subscribe().borrow().waiting(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_11_dropping_everybody_leaves_nothing_behind() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let calls = burst(&service, 0..10);
    pass(250 * MS).await;
    for call in &calls {
        call.abort();
    }
    settle().await;
    let summary = service.links().subscribe().borrow().clone();
    assert_eq!((summary.down(), summary.waiting()), (1, 0));
    peer.now_does(Does::Answer);
    assert_eq!(call(&service, message(10)).await.unwrap(), 10);
    assert_eq!(service.links().subscribe().borrow().down(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_stalled_head_loses_the_probe_to_the_next_in_line() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let mut stalled = call(&service, message(0));
    assert!((&mut stalled).now_or_never().is_none());
    let next = send(&service, message(1));
    let last = send(&service, message(2));
    settle().await;
    let began = tokio::time::Instant::now();
    peer.now_does(Does::Answer);
    assert_eq!(next.await.unwrap().unwrap(), 1);
    assert!(
        began.elapsed() <= 210 * MS,
        "one delay and one backoff step"
    );
    assert_eq!(last.await.unwrap().unwrap(), 2);
    // It is not lost.
    assert_eq!(stalled.await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_stalled_caller_does_not_hold_up_a_drain() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let first = send(&service, message(0));
    settle().await;
    let mut stalled = call(&service, message(1));
    assert!((&mut stalled).now_or_never().is_none());
    let others = burst(&service, 2..6);
    settle().await;
    peer.now_does(Does::Answer);
    first.await.unwrap().unwrap();
    let began = tokio::time::Instant::now();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert!(began.elapsed() <= 110 * MS);
    assert_eq!(
        call(&service, message(6)).await.unwrap(),
        6,
        "the link is open"
    );
    assert_eq!(stalled.await.unwrap(), 1);
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_17_wake_holds_for_every_link() {
    let names = ["a", "b", "c", "d"];
    let peer = Peer::that(REFUSED);
    let service = peer.behind(RetryOnConnErr::new().backoff(|| std::iter::repeat(60 * SECOND)));
    let to = |to, number| Message {
        to,
        ..message(number)
    };
    let mut stalled = Vec::new();
    for name in names {
        for number in 0..2 {
            let mut call = call(&service, to(name, number));
            assert!((&mut call).now_or_never().is_none());
            stalled.push(call);
        }
    }
    let last = names.map(|name| send(&service, to(name, 9)));
    settle().await;
    peer.now_does(Does::Answer);
    let began = tokio::time::Instant::now();
    service.links().wake();
    for last in last {
        assert_eq!(last.await.unwrap().unwrap(), 9);
    }
    assert!(began.elapsed() <= 5 * SECOND, "{:?}", began.elapsed());
    drop(stalled);
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_stalled_caller_can_be_dropped() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let mut stalled = call(&service, message(0));
    assert!((&mut stalled).now_or_never().is_none());
    let next = send(&service, message(1));
    peer.now_does(Does::Answer);
    next.await.unwrap().unwrap();
    assert_eq!(service.links().subscribe().borrow().waiting(), 1);
    drop(stalled);
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

/// Panics once when it is told to.
struct Panics(Arc<AtomicBool>);

impl ConnErrorPolicy<Message> for Panics {
    fn decide(&self, failure: &Failure<'_, Message>) -> Decision {
        assert!(!self.0.swap(false, Ordering::Relaxed), "as told");
        failure.default_decision()
    }
}

#[tokio::test(start_paused = true)]
async fn rule_15_a_panic_in_the_policy_ends_only_its_own_call() {
    let panics = Arc::new(AtomicBool::new(false));
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().policy(Panics(panics.clone())));
    let calls = burst(&service, 0..3);
    settle().await;
    panics.store(true, Ordering::Relaxed);
    pass(150 * MS).await; // the probe failed, and its policy panicked
    assert!(!panics.load(Ordering::Relaxed));
    peer.now_does(Does::Answer);
    let mut panicked = Vec::new();
    for call in calls {
        panicked.push(call.await.is_err_and(|end| end.is_panic()));
    }
    assert_eq!(panicked, [true, false, false]);
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_15_a_panic_in_the_service_ends_only_its_own_call() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let head = send(&service, message(0));
    let next = send(&service, message(1));
    settle().await;
    peer.now(|message| {
        if message.number == 0 {
            std::panic::resume_unwind(Box::new("as told"));
        }
        Does::Answer
    });
    assert!(head.await.unwrap_err().is_panic());
    assert_eq!(next.await.unwrap().unwrap(), 1);
}

#[test]
fn many_callers_on_many_threads_with_random_cancellations_all_end() {
    let mut flaps = fastrand::Rng::with_seed(7);
    let peer = Peer::new(move |_| match flaps.u8(..200) {
        0 => REFUSED,
        1..4 => RESET,
        _ => Does::Answer,
    });
    let service = peer.behind(RetryOnConnErr::new().backoff(|| std::iter::repeat(10 * MS)));
    let links = service.links();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(4).enable_all().build().unwrap();
    let all = async move {
        let mut random = fastrand::Rng::with_seed(11);
        let calls = (0..10_000).map(|number| send(&service, message(number)));
        let calls: Vec<_> = calls.collect();
        let cancelled =
            |call: &&tokio::task::JoinHandle<_>| random.u8(..10) == 0 && !call.is_finished();
        calls.iter().filter(cancelled).for_each(|call| call.abort());
        let mut answered = 0;
        for call in calls {
            match call.await {
                Ok(answer) => answered += usize::from(answer.is_ok()),
                Err(end) => assert!(end.is_cancelled()),
            }
        }
        answered
    };
    let limit = std::time::Duration::from_secs(60);
    let answered = runtime.block_on(async { tokio::time::timeout(limit, all).await });
    assert!(answered.expect("nobody hangs") > 8_000);
    assert_eq!(links.subscribe().borrow().waiting(), 0);
}

/// Panics when it is woken for the first time. The second time it may be a timer's.
#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        assert!(self.0.swap(true, Ordering::Relaxed), "a bug in a waker");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_15_a_waker_that_panics_is_nobody_elses_trouble() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let head = send(&service, message(1));
    settle().await;
    let mut bad = Box::pin(call(&service, message(2)));
    let waker = Waker::from(Arc::<Alarm>::default());
    let first = bad.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(first.is_pending(), "it is held");
    let others = burst(&service, 3..5);
    settle().await;
    peer.now_does(Does::Answer);
    assert_eq!(head.await.unwrap().unwrap(), 1);
    for (number, other) in (3..).zip(others) {
        let end = timeout(SECOND, other).await.expect("its turn comes");
        assert_eq!(end.unwrap().unwrap(), number);
    }
    assert_eq!(bad.await.unwrap(), 2);
}
