//! Found in review: what happens at the seams between the rules.

use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Wake, Waker};

use futures_util::FutureExt;
use tokio::time::{Instant, timeout};
use tower_conn_retry::{
    ConnError, Destination, Limits, Links, Observer, Reason, Replayable, RetryOnConnErr, Unsent,
    WhenFull,
};

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn rule_9_who_waits_for_bytes_does_not_spin() {
    let peer = Peer::that(REFUSED);
    let layer = steady()
        .limits(Limits::new().bytes(250))
        .when_full(WhenFull::Wait);
    let service = peer.behind(layer);
    let _held = [send(&service, message(0)), send(&service, message(1))];
    settle().await;
    let mut waits = call(&service, message(2));
    let mut polls = 0;
    let waiting = std::future::poll_fn(|cx| {
        polls += 1;
        assert!(polls < 100, "polled again and again");
        waits.poll_unpin(cx)
    });
    assert!(timeout(SECOND, waiting).await.is_err());
    peer.now_does(Does::Answer);
    waits.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rule_17_many_stalled_callers_hold_up_nobody_for_ever() {
    for stalled in [2, 3, 10] {
        let peer = Peer::that(REFUSED);
        let service = peer.behind(steady().never_give_up());
        let mut buffered: Vec<_> = (0..stalled)
            .map(|number| call(&service, message(number)))
            .collect();
        for stalled in &mut buffered {
            assert!(stalled.now_or_never().is_none());
        }
        peer.now_does(Does::Answer);
        let last = call(&service, message(99));
        let end = timeout(60 * SECOND, last).await;
        assert_eq!(end.expect("it gets its turn").unwrap(), 99, "{stalled}");
        for (number, call) in buffered.into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), number as u64);
        }
        assert_eq!(service.links().subscribe().borrow().waiting(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_17_nor_do_they_if_they_were_never_polled() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let first = send(&service, message(0));
    settle().await;
    let stalled: Vec<_> = (1..5)
        .map(|number| call(&service, message(number)))
        .collect();
    peer.now_does(Does::Answer);
    let last = call(&service, message(99));
    assert_eq!(timeout(60 * SECOND, last).await.unwrap().unwrap(), 99);
    first.await.unwrap().unwrap();
    for call in stalled {
        call.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_probe_whose_caller_stalls_counts_as_over_after_its_timeout() {
    let peer = Peer::that(REFUSED);
    let layer = steady().attempt_timeout(SECOND).never_give_up();
    let service = peer.behind(layer);
    let mut stalled = call(&service, message(0));
    assert!((&mut stalled).now_or_never().is_none());
    peer.now_does(Does::Hang);
    pass(100 * MS).await;
    assert!((&mut stalled).now_or_never().is_none(), "in flight");
    assert_eq!(peer.attempts(), [0, 0]);
    peer.now_does(Does::Answer);
    let next = call(&service, message(1));
    assert_eq!(timeout(60 * SECOND, next).await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn the_summary_may_be_borrowed_while_the_status_is_read() {
    let peer = Peer::that(Does::Answer);
    let service = peer.behind(steady());
    let links = service.links();
    let summary = links.subscribe();
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let seen = (summary.borrow().down(), links.status().len());
        let _ = tx.send(seen);
    });
    assert_eq!(rx.recv_timeout(5 * SECOND), Ok((0, 0)), "a deadlock");
}

#[tokio::test(start_paused = true)]
async fn rule_10_the_end_of_a_callers_time_is_not_an_outage() {
    // While the backlog drains, an attempt is cut short by its caller's own deadline.
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().give_up_after(1_130 * MS));
    let early = send(&service, message(0));
    settle().await;
    pass(110 * MS).await;
    let late = burst(&service, 1..5);
    pass(930 * MS).await;
    peer.now(|message| match message.number {
        0 => Does::Answer,
        _ => Does::AnswerAfter(150 * MS),
    });
    early.await.unwrap().unwrap();
    let began = Instant::now();
    let first = late.into_iter().next().unwrap().await.unwrap();
    assert_eq!(first.unwrap_err().reason(), Reason::GaveUp);
    assert!(began.elapsed() < 150 * MS);
    assert!(service.links().status()[0].is_up(), "not an outage");
}

#[tokio::test(start_paused = true)]
async fn rule_4_a_link_that_is_down_stays_down_while_nobody_calls() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let only = send(&service, message(0));
    settle().await;
    only.abort();
    pass(60 * SECOND).await;
    peer.forget_attempts();
    peer.now_does(Does::FailAfter(10 * MS, io::ErrorKind::ConnectionRefused));
    pass(MS).await;
    let _calls = burst(&service, 1..100);
    settle().await;
    assert_eq!(peer.attempts(), [1]);
}

#[tokio::test(start_paused = true)]
async fn rule_9_sizes_that_can_not_be_added_are_full() {
    #[derive(Clone)]
    struct Huge;
    impl Replayable for Huge {
        fn try_clone(&self) -> Option<Self> {
            Some(Huge)
        }
        fn size_hint(&self) -> usize {
            usize::MAX
        }
    }
    let inner = tower::service_fn(|_: Huge| async {
        Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused))
    });
    let layer = steady().limits(Limits::new().bytes(usize::MAX));
    let service = tower::Layer::layer(&layer, inner);
    let mut first = Box::pin(tower::ServiceExt::oneshot(service.clone(), Huge));
    assert!((&mut first).now_or_never().is_none());
    let second = tower::ServiceExt::oneshot(service.clone(), Huge);
    let error = second.await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_handed_back_stays_with_its_error_if_a_copy_is_there() {
    let inner = tower::service_fn(|request: String| async move {
        let gone = io::Error::from(io::ErrorKind::NotConnected);
        Err::<(), _>(Unsent::new(request, gone))
    });
    let layer = RetryOnConnErr::new().max_attempts(1);
    let service = tower::Layer::layer(&layer, inner);
    let error = tower::ServiceExt::oneshot(service, "precious".to_owned())
        .await
        .unwrap_err();
    let unsent = error.downcast_ref::<Unsent<String>>().unwrap();
    assert_eq!(unsent.take().as_deref(), Some("precious"));
}

#[derive(Default)]
struct Wakes(OnceLock<Links>);

impl Observer for Wakes {
    fn link_down(&self, _: &Destination, _: ConnError) {
        if let Some(links) = self.0.get() {
            links.wake();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_16_a_wake_while_the_next_delay_is_drawn_is_not_overridden_by_it() {
    let peer = Peer::that(REFUSED);
    let links: Arc<OnceLock<Links>> = Arc::default();
    let (wakes, drawn) = (links.clone(), Arc::new(AtomicBool::new(false)));
    let backoff = move || {
        let (wakes, drawn) = (wakes.clone(), drawn.clone());
        (0..).map(move |n| {
            if !drawn.swap(true, Ordering::Relaxed) {
                wakes.get().unwrap().wake(); // as another thread might just then
            }
            100 * MS * 2u32.pow(n)
        })
    };
    let service = peer.behind(RetryOnConnErr::new().backoff(backoff));
    let _ = links.set(service.links());
    let _held = send(&service, message(1));
    pass(SECOND).await;
    let first = peer.times()[0];
    let after = peer.times();
    let after: Vec<_> = after.iter().map(|at| (*at - first).as_millis()).collect();
    assert_eq!(after, [0, 0, 100, 300, 700]);
}

#[tokio::test(start_paused = true)]
async fn rule_16_an_observer_may_wake_the_link_that_went_down() {
    let peer = Peer::that(REFUSED);
    let wakes = Arc::new(Wakes::default());
    let layer = RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(100 * SECOND))
        .observer(wakes.clone());
    let service = peer.behind(layer);
    let _ = wakes.0.set(service.links());
    let held = send(&service, message(0));
    settle().await;
    settle().await;
    assert_eq!(peer.attempts(), [0, 0], "probed at once");
    drop(held);
}

/// Says once that it can be replayed, then never again.
#[derive(Clone)]
struct Fading(Arc<Mutex<bool>>);

impl Replayable for Fading {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
    fn can_replay(&self) -> bool {
        *self.0.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn can_replay_is_asked_before_each_replay() {
    let attempts = Arc::new(Mutex::new(0));
    let counted = attempts.clone();
    let inner = tower::service_fn(move |_: Fading| {
        *counted.lock().unwrap() += 1;
        async { Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused)) }
    });
    let service = tower::Layer::layer(&steady(), inner);
    let can = Arc::new(Mutex::new(true));
    let mut held = Box::pin(tower::ServiceExt::oneshot(service, Fading(can.clone())));
    assert!((&mut held).now_or_never().is_none());
    *can.lock().unwrap() = false; // while it waits
    let error = held.await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotReplayable);
    assert_eq!(*attempts.lock().unwrap(), 1);
    assert_eq!(error.attempts(), 1);
}

struct Looks(Mutex<Option<Links>>);
impl Wake for Looks {
    fn wake(self: Arc<Self>) {}
}
impl Drop for Looks {
    fn drop(&mut self) {
        if let Some(l) = self.0.lock().unwrap().take() {
            l.status();
        }
    }
}

#[test]
fn rule_15_a_waker_that_is_dropped_may_look_at_the_links() {
    let (tx, rx) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let rt = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        rt.block_on(async {
            let peer = Peer::that(REFUSED);
            let service = peer.behind(steady());
            let mut held = Box::pin(call(&service, message(0)));
            let mut third = Box::pin(call(&service, message(1)));
            let mut fourth = Box::pin(call(&service, message(2)));
            for f in [&mut held, &mut third, &mut fourth] {
                let waker = Waker::from(Arc::new(Looks(Mutex::new(Some(service.links())))));
                let _ = f.as_mut().poll(&mut Context::from_waker(&waker));
            }
            for f in [&mut held, &mut third, &mut fourth] {
                assert!(f.now_or_never().is_none());
            }
        });
        let _ = tx.send(());
    });
    rx.recv_timeout(3 * SECOND).expect("deadlock");
}

#[tokio::test(start_paused = true)]
async fn rule_3_a_failure_from_before_the_recovery_is_no_new_outage() {
    let peer = Peer::that(Does::FailAfter(8 * SECOND, io::ErrorKind::TimedOut));
    let s = peer.behind(steady());
    let stale: Vec<_> = (0..3).map(|n| send(&s, message(n))).collect();
    pass(SECOND).await;
    peer.now_does(REFUSED);
    let held = send(&s, message(10));
    pass(SECOND).await;
    peer.now_does(Does::Answer);
    held.await.unwrap().unwrap();
    pass(5 * SECOND).await;
    assert!(call(&s, message(11)).await.is_ok());
    for x in stale {
        x.await.unwrap().unwrap();
    }
    let up_since = s.links().status()[0].since();
    assert!(up_since >= 5 * SECOND, "went down again: {up_since:?}");
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_stalled_caller_who_waits_for_a_place_blocks_nobody() {
    let peer = Peer::that(REFUSED);
    let s = peer.behind(waits(1).never_give_up());
    let first = send(&s, message(0));
    settle().await;
    let mut stalled = call(&s, message(1));
    assert!((&mut stalled).now_or_never().is_none());
    let next = send(&s, message(2));
    settle().await;
    // First leaves while the link is down.
    first.abort();
    pass(10 * SECOND).await;
    assert!(peer.attempts().contains(&2), "{:?}", peer.attempts());
    drop(next);
}
