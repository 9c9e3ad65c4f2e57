//! Rules 3 and 13: one broken connection is not an outage.

use std::io;
use std::sync::atomic::{AtomicIsize, Ordering};

use tower::retry::budget::Budget;
use tower_conn_retry::{ConnErrorKind, Reason, RetryOnConnErr, Sent};

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn rule_3_one_broken_connection_is_replayed_once_at_once() {
    for kind in [
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::BrokenPipe,
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::NotConnected,
    ] {
        let mut first = true;
        let peer = Peer::new(move |_| match std::mem::take(&mut first) {
            true => Does::Fail(kind),
            false => Does::Answer,
        });
        let service = peer.behind(RetryOnConnErr);
        assert_eq!(call(&service, message(1)).await.unwrap(), 1);
        let times = peer.times();
        assert_eq!(times.len(), 2, "{kind}");
        assert_eq!(times[0], times[1], "{kind}: not at once");
        assert_eq!(service.links().subscribe().borrow().down(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_3_others_are_not_held_up_by_one_broken_connection() {
    let peer = Peer::new(|message| match message.number {
        1 => Does::FailAfter(50 * MS, io::ErrorKind::ConnectionReset),
        _ => Does::Answer,
    });
    let service = peer.behind(steady());
    let broken = send(&service, message(1));
    pass(60 * MS).await; // failed once, its immediate replay is in flight
    assert_eq!(peer.attempts(), [1, 1]);
    assert_eq!(call(&service, message(2)).await.unwrap(), 2);
    assert!(!broken.is_finished());
    assert!(service.links().status().iter().all(|link| link.is_up()));
}

#[tokio::test(start_paused = true)]
async fn rule_3_the_link_goes_down_if_the_immediate_replay_fails_too() {
    let peer = Peer::that(RESET);
    let service = peer.behind(steady());
    let held = send(&service, message(1));
    settle().await;
    assert_eq!(peer.attempts(), [1, 1]);
    let status = service.links().status();
    assert!(!status[0].is_up());
    assert_eq!(status[0].last_error().unwrap().kind(), ConnErrorKind::Reset);
    peer.now_does(Does::Answer);
    assert_eq!(held.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_3_an_error_about_the_peer_takes_the_link_down_at_once() {
    let kinds = [
        io::ErrorKind::ConnectionRefused,
        io::ErrorKind::NetworkUnreachable,
        io::ErrorKind::HostUnreachable,
        io::ErrorKind::NetworkDown,
        io::ErrorKind::TimedOut,
    ];
    for kind in kinds {
        let peer = Peer::that(Does::Fail(kind));
        let service = peer.behind(steady());
        let _held = send(&service, message(1));
        settle().await;
        assert_eq!(peer.attempts(), [1], "{kind}");
        assert!(!service.links().status()[0].is_up(), "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_have_been_sent_is_replayed_only_if_idempotent() {
    let peer = Peer::that(RESET);
    let service = peer.behind(steady());
    let once = Message {
        idempotent: false,
        ..message(1)
    };
    let error = call(&service, once).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotIdempotent);
    assert_eq!(error.sent(), Sent::Maybe);
    assert_eq!(error.attempts(), 1);
    assert_eq!(peer.attempts(), [1]);
    // One broken connection is not an outage, even if it was not replayed.
    assert!(service.links().status().iter().all(|link| link.is_up()));
}

/// Pays for so many.
struct Purse(AtomicIsize);

impl Budget for Purse {
    fn deposit(&self) {}

    fn withdraw(&self) -> bool {
        self.0.fetch_sub(1, Ordering::Relaxed) > 0
    }
}

#[tokio::test(start_paused = true)]
async fn rule_13_the_budget_pays_for_immediate_replays_and_nothing_is_lost_when_it_is_empty() {
    let mut n = 0;
    let peer = Peer::new(move |_| {
        n += 1;
        if n % 2 == 1 { RESET } else { Does::Answer }
    });
    let service = peer.behind(steady().budget(Purse(AtomicIsize::new(1))));
    assert_eq!(call(&service, message(1)).await.unwrap(), 1);
    assert_eq!(call(&service, message(2)).await.unwrap(), 2);
    let times = peer.times();
    assert_eq!(peer.attempts(), [1, 1, 2, 2]);
    assert_eq!(times[1], times[0], "paid for");
    assert_eq!(
        times[3] - times[2],
        100 * MS,
        "not paid for: waits for a probe"
    );
}

#[tokio::test(start_paused = true)]
async fn rule_13_probes_cost_nothing() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().budget(Purse(AtomicIsize::new(0))));
    let held = send(&service, message(1));
    pass(SECOND).await;
    assert!(peer.attempts().len() >= 10);
    peer.now_does(Does::Answer);
    assert_eq!(held.await.unwrap().unwrap(), 1);
}

/// Several requests are in flight on one connection, and hear in a bad order that it broke.
async fn broken_together(in_order: bool) -> Vec<u64> {
    let peer = Peer::new(|message| {
        let late = (4 - message.number as u32) * MS;
        Does::FailAfter(10 * MS + late, io::ErrorKind::ConnectionReset)
    });
    let layer = if in_order {
        steady().in_order()
    } else {
        steady()
    };
    let service = peer.behind(layer);
    let mut calls = burst(&service, 0..4);
    settle().await;
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    pass(11 * MS).await; // the last two have heard of it
    calls.push(send(&service, message(4)));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    peer.attempts()
}

#[tokio::test(start_paused = true)]
async fn what_broke_together_is_replayed_at_once_or_in_order() {
    assert_eq!(broken_together(false).await, [3, 2, 4, 1, 0]);
    assert_eq!(broken_together(true).await, [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn in_order_a_broken_connection_is_an_outage_of_20_ms() {
    let mut first = true;
    let peer = Peer::new(move |_| match std::mem::take(&mut first) {
        true => RESET,
        false => Does::Answer,
    });
    let service = peer.behind(RetryOnConnErr::new().in_order());
    let began = tokio::time::Instant::now();
    assert_eq!(call(&service, message(1)).await.unwrap(), 1);
    assert_eq!(began.elapsed(), 20 * MS);
}
