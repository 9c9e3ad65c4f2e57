//! An outbox is bounded, and says what it drops.

use tower_conn_retry::{Limits, Outbox, Outcome, Reason, WhenFull};

use super::{outcomes, with};
use crate::peer::*;

fn bounded(when_full: WhenFull) -> Outbox<Message> {
    let limits = Limits::new().requests(3);
    Outbox::builder()
        .limits(limits)
        .when_full(when_full)
        .in_memory()
}

#[tokio::test(start_paused = true)]
async fn rejected_is_not_deferred() {
    let peer = Peer::that(REFUSED);
    let outbox = bounded(WhenFull::Reject);
    let service = with(&peer, &outbox);
    for number in 1..=3 {
        let error = call(&service, message(number)).await.unwrap_err();
        assert!(error.is_deferred());
    }
    let error = call(&service, message(4)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
    assert_eq!(error.ticket(), None);
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    outbox.flush().await;
    assert_eq!(peer.attempts(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_that_waits_makes_room() {
    let peer = Peer::that(REFUSED);
    let outbox = bounded(WhenFull::DropOldest);
    let service = with(&peer, &outbox);
    let mut receipts = outbox.receipts();
    for number in 1..=5 {
        let error = call(&service, message(number)).await.unwrap_err();
        assert!(error.is_deferred());
        assert!(outbox.len() <= 3);
        settle().await;
    }
    let dead: Vec<_> = outbox.dead_letters();
    let dead: Vec<_> = dead
        .iter()
        .map(|of| (of.request().number, of.outcome()))
        .collect();
    assert_eq!(dead, [(1, Outcome::Dropped), (2, Outcome::Dropped)]);
    assert_eq!(outcomes(&mut receipts).len(), 2);
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    outbox.flush().await;
    assert_eq!(peer.attempts(), [3, 4, 5]);
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_in_flight_is_not_dropped() {
    let peer = Peer::that(REFUSED);
    let outbox = bounded(WhenFull::DropOldest);
    let service = with(&peer, &outbox);
    for number in 1..=3 {
        call(&service, message(number)).await.unwrap_err();
    }
    peer.now_does(Does::AnswerAfter(SECOND));
    pass(500 * MS).await; // the probe is in flight
    assert!(call(&service, message(4)).await.unwrap_err().is_deferred());
    assert_eq!(outbox.dead_letters()[0].request().number, 2);
    peer.forget_attempts();
    outbox.flush().await;
    assert_eq!(peer.attempts(), [3, 4]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_gets_it() {
    let peer = Peer::that(REFUSED);
    let outbox = bounded(WhenFull::Wait);
    let service = with(&peer, &outbox);
    let calls = burst(&service, 1..7);
    settle().await;
    let waiting = calls.iter().filter(|call| !call.is_finished()).count();
    assert_eq!((outbox.len(), waiting), (3, 3));
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    for call in calls {
        assert!(call.await.unwrap().unwrap_err().is_deferred());
    }
    outbox.flush().await;
    let mut all = peer.attempts();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all, [1, 2, 3, 4, 5, 6]);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_room_in_vain_is_told() {
    let peer = Peer::that(REFUSED);
    let outbox = bounded(WhenFull::Wait);
    let service = with(&peer, &outbox);
    for number in 1..=3 {
        call(&service, message(number)).await.unwrap_err();
    }
    let began = tokio::time::Instant::now();
    let error = call(&service, message(4)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
    assert_eq!(began.elapsed(), 180 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_never_owned() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::builder()
        .limits(Limits::new().bytes(99))
        .when_full(WhenFull::Wait)
        .in_memory();
    let service = with(&peer, &outbox);
    let error = call(&service, message(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
    assert!(outbox.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_a_dead_letter() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::builder().max_age(10 * SECOND).in_memory();
    let service = with(&peer, &outbox);
    call(&service, message(1)).await.unwrap_err();
    pass(5 * SECOND).await;
    call(&service, message(2)).await.unwrap_err();
    assert_eq!(outbox.len(), 2);
    pass(5 * SECOND + MS).await;
    assert_eq!(outbox.len(), 1);
    let dead = outbox.dead_letters();
    assert_eq!((dead.len(), dead[0].request().number), (1, 1));
    assert_eq!(dead[0].outcome(), Outcome::Expired);
    pass(5 * SECOND).await;
    assert_eq!(outbox.len(), 0);
    peer.now_does(Does::Answer);
    peer.forget_attempts();
    pass(SECOND).await;
    assert_eq!(peer.attempts(), [0; 0]);
    // The link is still down, as far as is known.
    assert!(call(&service, message(3)).await.unwrap_err().is_deferred());
    outbox.flush().await;
    assert_eq!(peer.attempts(), [3]);
}
