//! Rules 4, 6, 7, 9 and 17 where there is no place for all: who is not held still finds out that the
//! peer is back, and who waits for a place is in line.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};
use tower_conn_retry::{Limits, Reason, Replayable, WhenFull};

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn rule_9_a_link_that_may_hold_nobody_is_probed_all_the_same() {
    for limits in [Limits::new().requests(0), Limits::new().bytes(50)] {
        for when_full in [WhenFull::Reject, WhenFull::Wait, WhenFull::DropOldest] {
            let peer = Peer::that(REFUSED);
            let service = peer.behind(steady().limits(limits).when_full(when_full));
            for _ in 0..10 {
                let error = call(&service, message(0)).await.unwrap_err();
                assert_eq!(error.reason(), Reason::QueueFull);
            }
            // One attempt, and then one for each probe that is due.
            assert_eq!(peer.attempts().len(), 1);
            pass(SECOND).await;
            for _ in 0..10 {
                call(&service, message(1)).await.unwrap_err();
            }
            assert_eq!(peer.attempts().len(), 2);
            assert_eq!(service.links().subscribe().borrow().waiting(), 0);
            peer.now_does(Does::Answer);
            pass(SECOND).await;
            call(&service, message(2)).await.unwrap();
            call(&service, message(3)).await.unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_9_a_probe_without_a_place_is_the_only_one_until_it_is_given_up() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().limits(Limits::new().requests(0)));
    call(&service, message(0)).await.unwrap_err();
    pass(SECOND).await;
    peer.now_does(Does::Hang);
    // Never polled, polled, dropped in flight.
    let stalled = call(&service, message(1));
    call(&service, message(2)).await.unwrap_err();
    pass(SECOND).await;
    let mut probe = call(&service, message(3));
    assert!((&mut probe).now_or_never().is_none());
    call(&service, message(4)).await.unwrap_err();
    drop(probe);
    peer.now_does(Does::Answer);
    call(&service, message(5)).await.unwrap();
    assert_eq!(peer.attempts(), [0, 3, 5]);
    stalled.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn rule_4_a_probe_without_a_place_takes_over_from_a_stalled_one_and_is_the_only_one_then() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().limits(Limits::new().requests(1)));
    let mut stalled = call(&service, message(0));
    assert!((&mut stalled).now_or_never().is_none());
    pass(SECOND).await;
    peer.now_does(Does::AnswerAfter(10 * MS));
    peer.forget_attempts();
    assert!((&mut stalled).now_or_never().is_none());
    pass(SECOND).await; // the answer is there, and nobody comes for it
    peer.now_does(Does::Hang);
    let mut probe = call(&service, message(1));
    assert!((&mut probe).now_or_never().is_none());
    for n in 2..5 {
        let error = call(&service, message(n)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::QueueFull);
    }
    assert_eq!(peer.attempts(), [0, 1]);
    assert_eq!(stalled.await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_7_anothers_backlog_does_not_keep_a_destination_down() {
    for when_full in [WhenFull::Reject, WhenFull::Wait] {
        let peer = Peer::that(REFUSED);
        let limits = Limits::new().requests(5);
        let layer = steady().limits(limits).when_full(when_full);
        let service = peer.behind(layer.never_give_up());
        let b = |number, idempotent| Message {
            to: "b",
            number,
            idempotent,
        };
        let error = call(&service, b(0, false)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::NotIdempotent);
        let a = |number| Message {
            to: "a",
            ..message(number)
        };
        let _held: Vec<_> = (1..6).map(|n| send(&service, a(n))).collect();
        settle().await;
        peer.now(|message| match message.to {
            "b" => Does::Answer,
            _ => REFUSED,
        });
        pass(SECOND).await;
        for n in 10..20 {
            let call = timeout(10 * SECOND, call(&service, b(n, true)));
            call.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn rule_6_who_waits_for_a_place_is_in_the_window() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(waits(2));
    let calls = burst(&service, 0..20);
    pass(SECOND).await;
    peer.forget_attempts();
    peer.now_does(Does::AnswerAfter(50 * MS));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), (0..20).collect::<Vec<_>>());
    // As many as have a place.
    assert_eq!(peer.most_in_flight(), 2);
}

#[tokio::test(start_paused = true)]
async fn rule_6_a_new_call_stays_behind_those_who_wait_for_a_place() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(waits(1));
    let calls = burst(&service, 0..5);
    pass(SECOND).await;
    peer.forget_attempts();
    let (probed, probe) = oneshot::channel();
    let mut probed = Some(probed);
    peer.now(move |_| {
        probed.take().map(|probed| probed.send(()));
        Does::Answer
    });
    // It calls as soon as the probe is out.
    let clone = service.clone();
    let new = tokio::spawn(async move {
        probe.await.unwrap();
        call(&clone, message(99)).await
    });
    for call in calls {
        call.await.unwrap().unwrap();
    }
    new.await.unwrap().unwrap();
    assert_eq!(peer.attempts(), [0, 1, 2, 3, 4, 99]);
}

#[tokio::test(start_paused = true)]
async fn rule_17_callers_who_wait_for_a_place_and_stall_hold_up_nobody() {
    for stalled in [1, 2, 3, 7] {
        let peer = Peer::that(REFUSED);
        let service = peer.behind(waits(1).never_give_up());
        let first = send(&service, message(0));
        settle().await;
        let mut calls: Vec<_> = (1..=stalled).map(|n| call(&service, message(n))).collect();
        for call in &mut calls {
            assert!(call.now_or_never().is_none());
        }
        let next = send(&service, message(50));
        settle().await;
        first.abort();
        peer.now_does(Does::Answer);
        timeout(60 * SECOND, next).await.unwrap().unwrap().unwrap();
        // They come after all.
        for call in calls {
            timeout(60 * SECOND, call).await.unwrap().unwrap();
        }
        assert_eq!(service.links().subscribe().borrow().waiting(), 0);
    }
}

#[derive(Clone)]
struct Sized(usize);

impl Replayable for Sized {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn size_hint(&self) -> usize {
        self.0
    }
}

#[tokio::test(start_paused = true)]
async fn rule_9_nothing_is_dropped_for_a_request_that_finds_no_room_even_so() {
    let hangs = Arc::new(AtomicBool::new(false));
    let hang = hangs.clone();
    let inner = service_fn(move |_: Sized| {
        let hang = hang.clone();
        async move {
            if hang.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused))
        }
    });
    let layer = steady().limits(Limits::new().bytes(100));
    let service = layer.when_full(WhenFull::DropOldest).layer(inner);
    let send = |size| tokio::spawn(service.clone().oneshot(Sized(size)));
    let _probe = send(60);
    settle().await;
    let waiting = [send(20), send(20)];
    settle().await;
    hangs.store(true, Ordering::Relaxed);
    pass(SECOND).await; // the probe is in flight, and can't be dropped
    let error = service.clone().oneshot(Sized(50)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
    settle().await;
    assert!(waiting.iter().all(|call| !call.is_finished()));
    // For a smaller one, they are.
    let smaller = send(40);
    settle().await;
    assert!(waiting.iter().all(|call| call.is_finished()) && !smaller.is_finished());
}
