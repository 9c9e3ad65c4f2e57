//! Rule 9: what is held is bounded, and full is never silence.

use futures_util::FutureExt;
use tower_conn_retry::{Limits, Reason, Sent, WhenFull};

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn rule_9_full_rejects_by_default_and_gives_the_error_of_the_link() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().limits(Limits::new().requests(2)));
    let held = burst(&service, 0..2);
    settle().await;
    let error = call(&service, message(2)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
    assert_eq!((error.attempts(), error.sent()), (0, Sent::No));
    assert_eq!(
        kind_of(&error),
        Some(tower_conn_retry::ConnErrorKind::Refused)
    );
    assert!(
        error.downcast_ref::<std::io::Error>().is_some(),
        "the link's last error"
    );
    peer.now_does(Does::Answer);
    for call in held {
        call.await.unwrap().unwrap();
    }
    // There is room again.
    peer.now_does(REFUSED);
    let held = send(&service, message(3));
    settle().await;
    assert_eq!(service.links().subscribe().borrow().waiting(), 1);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn rule_9_a_request_that_was_attempted_is_rejected_with_its_own_error() {
    let peer = Peer::that(Does::FailAfter(
        10 * MS,
        std::io::ErrorKind::ConnectionRefused,
    ));
    let service = peer.behind(steady().limits(Limits::new().requests(1)));
    let first = send(&service, message(1));
    settle().await; // both are in flight when the link goes down
    let second = call(&service, message(2)).await.unwrap_err();
    assert_eq!(second.reason(), Reason::QueueFull);
    assert_eq!(second.attempts(), 1);
    assert_eq!(second.history().len(), 1);
    assert!(!first.is_finished());
}

#[tokio::test(start_paused = true)]
async fn rule_9_bytes_count_too_and_over_all_links() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().limits(Limits::new().bytes(250)));
    let to = |to, number| Message {
        to,
        ..message(number)
    };
    let _a = send(&service, to("a", 1));
    let _b = send(&service, to("b", 2));
    settle().await;
    let status = service.links().status();
    assert_eq!(
        status
            .iter()
            .map(|link| link.waiting_bytes())
            .sum::<usize>(),
        200
    );
    for destination in ["a", "b"] {
        let error = call(&service, to(destination, 3)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::QueueFull);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_9_a_request_larger_than_the_whole_bound_is_never_held() {
    for when_full in [WhenFull::Reject, WhenFull::Wait, WhenFull::DropOldest] {
        let peer = Peer::that(REFUSED);
        let layer = steady()
            .limits(Limits::new().bytes(99))
            .when_full(when_full);
        let service = peer.behind(layer);
        let error = call(&service, message(1)).await.unwrap_err();
        assert_eq!(error.reason(), Reason::QueueFull, "{when_full:?}");
        let error = call(&service, message(2)).await.unwrap_err();
        assert_eq!(
            (error.reason(), error.attempts()),
            (Reason::QueueFull, 0),
            "{when_full:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rule_9_wait_waits_for_a_place_in_order() {
    let peer = Peer::that(REFUSED);
    let layer = waits(2);
    let service = peer.behind(layer);
    let calls = burst(&service, 0..10);
    pass(SECOND).await;
    assert_eq!(service.links().status()[0].waiting(), 2);
    assert_eq!(service.links().subscribe().borrow().waiting(), 10);
    peer.forget_attempts();
    peer.now_does(Does::AnswerAfter(MS));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), (0..10).collect::<Vec<_>>());
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_9_who_waits_for_a_place_gives_up_in_time_and_can_be_cancelled() {
    let peer = Peer::that(REFUSED);
    let layer = waits(1).give_up_after(5 * SECOND);
    let service = peer.behind(layer);
    let first = send(&service, message(0));
    pass(SECOND).await;
    let cancelled = send(&service, message(1));
    let waits = send(&service, message(2));
    let began = tokio::time::Instant::now();
    settle().await;
    cancelled.abort();
    first.await.unwrap().unwrap_err();
    // Now it has the place, and still its own deadline.
    let error = waits.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Reason::GaveUp);
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_9_a_new_call_takes_no_place_from_one_that_waits() {
    let peer = Peer::that(REFUSED);
    let layer = waits(1);
    let service = peer.behind(layer);
    let first = send(&service, message(0));
    settle().await;
    let mut second = Box::pin(call(&service, message(1)));
    assert!(futures_util::poll!(&mut second).is_pending());
    // There is a place again, and nobody has polled the one who waits for it.
    first.abort();
    first.await.unwrap_err();
    let third = send(&service, message(2));
    settle().await;
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    second.await.unwrap();
    third.await.unwrap().unwrap();
    assert_eq!(peer.attempts(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn rule_9_one_that_was_given_a_place_and_goes_away_hands_it_on() {
    let peer = Peer::that(REFUSED);
    let layer = waits(1);
    let service = peer.behind(layer);
    let first = send(&service, message(0));
    settle().await;
    let mut second = Box::pin(call(&service, message(1)));
    assert!(futures_util::poll!(&mut second).is_pending());
    let third = send(&service, message(2));
    settle().await;
    first.abort();
    first.await.unwrap_err();
    assert_eq!(service.links().subscribe().borrow().waiting(), 2);
    drop(second);
    peer.now_does(Does::Answer);
    third.await.unwrap().unwrap();
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_9_places_of_callers_who_are_stalled_go_to_the_next_ones_after_a_step() {
    let peer = Peer::that(REFUSED);
    let layer = waits(2).never_give_up();
    let service = peer.behind(layer);
    let held = burst(&service, 0..2);
    settle().await;
    let mut stalled = [2, 3].map(|number| Box::pin(call(&service, message(number))));
    for call in &mut stalled {
        assert!(futures_util::poll!(call).is_pending());
    }
    let others = burst(&service, 4..8);
    settle().await;
    held.iter().for_each(|call| call.abort());
    settle().await;
    peer.now_does(Does::Answer);
    peer.forget_attempts();
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), [4, 5, 6, 7]);
    for call in stalled {
        call.await.unwrap();
    }
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_9_who_waited_for_a_place_in_vain_is_forgotten() {
    let peer = Peer::that(REFUSED);
    let layer = waits(1).give_up_after(5 * SECOND);
    let service = peer.behind(layer);
    // The first to wait expires before the place is free.
    let mut waits = Box::pin(call(&service, message(0)));
    let holds = send(&service, message(1));
    settle().await;
    assert!(futures_util::poll!(&mut waits).is_pending());
    pass(2 * SECOND).await;
    let other = send(&service, message(2));
    assert_eq!(waits.await.unwrap_err().reason(), Reason::GaveUp);
    holds.await.unwrap().unwrap_err();
    settle().await;
    assert_eq!(service.links().subscribe().borrow().waiting(), 1);
    peer.now_does(Does::Answer);
    other.await.unwrap().unwrap();
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_9_drop_oldest_takes_the_oldest_that_is_waiting_not_the_probe() {
    let peer = Peer::that(REFUSED);
    let layer = steady()
        .limits(Limits::new().requests(2))
        .when_full(WhenFull::DropOldest);
    let service = peer.behind(layer);
    let probe = send(&service, message(0));
    let oldest = send(&service, message(1));
    settle().await;
    peer.now_does(Does::Hang);
    pass(SECOND).await; // message 0 is in flight as the probe
    assert_eq!(peer.attempts(), [0, 0]);
    let newest = send(&service, message(2));
    let error = oldest.await.unwrap().unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (Reason::QueueFull, 0));
    assert!(!probe.is_finished() && !newest.is_finished());
    assert_eq!(service.links().status()[0].waiting(), 2);
}

#[tokio::test(start_paused = true)]
async fn rule_9_drop_oldest_drops_for_any_destination() {
    let peer = Peer::that(REFUSED);
    let layer = steady()
        .limits(Limits::new().bytes(200))
        .when_full(WhenFull::DropOldest);
    let service = peer.behind(layer);
    let to = |to, number| Message {
        to,
        ..message(number)
    };
    let mut first = send(&service, to("a", 1));
    let second = send(&service, to("b", 2));
    settle().await;
    let third = send(&service, to("b", 3));
    settle().await;
    let error = (&mut first).now_or_never().unwrap().unwrap().unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (Reason::QueueFull, 1));
    assert!(!second.is_finished() && !third.is_finished());
}

#[tokio::test(start_paused = true)]
async fn limits_of_zero_hold_nothing() {
    for limits in [Limits::new().requests(0), Limits::new().bytes(0)] {
        for when_full in [WhenFull::Reject, WhenFull::Wait, WhenFull::DropOldest] {
            let peer = Peer::that(REFUSED);
            let service = peer.behind(steady().limits(limits).when_full(when_full));
            let error = call(&service, message(1)).await.unwrap_err();
            assert_eq!((error.reason(), error.attempts()), (Reason::QueueFull, 1));
        }
    }
}
