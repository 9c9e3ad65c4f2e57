//! Rule 10: time.

use std::time::Duration;

use tokio::time::Instant;
use tower_conn_retry::{AttemptTimeout, ConnErrorKind, Reason, RetryOnConnErr, Sent};

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn rule_10_three_minutes_by_default() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(RetryOnConnErr);
    let error = call(&service, message(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::GaveUp);
    assert_eq!(error.elapsed().as_secs(), 180);
    assert!(error.attempts() > 30);
    assert_eq!(error.history().len(), 16);
    assert_eq!(kind_of(&error), Some(ConnErrorKind::Refused));
}

#[tokio::test(start_paused = true)]
async fn rule_10_give_up_after_ends_an_attempt_that_hangs() {
    let peer = Peer::that(Does::Hang);
    let service = peer.behind(RetryOnConnErr::new().give_up_after(7 * SECOND));
    let began = Instant::now();
    let error = call(&service, message(1)).await.unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 7);
    assert_eq!(error.reason(), Reason::GaveUp);
    assert_eq!((error.attempts(), error.sent()), (1, Sent::Maybe));
    assert_eq!(kind_of(&error), Some(ConnErrorKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn rule_10_give_up_after_ends_a_wait_that_never_had_an_attempt() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().give_up_after(7 * SECOND));
    let first = send(&service, message(1));
    pass(SECOND).await;
    peer.now_does(Does::Hang); // the next probe keeps everybody waiting
    let second = send(&service, message(2));
    let began = Instant::now();
    settle().await;
    first.await.unwrap().unwrap_err();
    // The probe goes to the second, which has a second left of its seven.
    let error = second.await.unwrap().unwrap_err();
    assert_eq!(began.elapsed().as_secs(), 7);
    assert_eq!(error.reason(), Reason::GaveUp);

    // While the probe of somebody else hangs for ever, and there is no attempt at all:
    let peer = Peer::that(REFUSED);
    let patient = peer.behind(steady().never_give_up());
    let _probe = send(&patient, message(1));
    settle().await;
    peer.now_does(Does::Hang);
    pass(SECOND).await;
    let waits = send(&patient, message(2));
    pass(Duration::from_secs(100_000)).await;
    assert!(!waits.is_finished(), "never means never");
}

#[tokio::test(start_paused = true)]
async fn rule_10_the_error_of_a_call_without_an_attempt_carries_the_links_last_one() {
    let peer = Peer::that(REFUSED);
    let backoff = || [100 * MS, 60 * SECOND].into_iter();
    let service = peer.behind(
        RetryOnConnErr::new()
            .backoff(backoff)
            .give_up_after(5 * SECOND),
    );
    // Takes the link down, and is not held.
    let once = Message {
        idempotent: false,
        ..message(1)
    };
    call(&service, once).await.unwrap_err();
    peer.now_does(REFUSED);
    let head = send(&service, message(2));
    pass(SECOND).await; // its probe has failed; the next one is a minute away
    let error = call(&service, message(3)).await.unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (Reason::GaveUp, 0));
    assert_eq!(kind_of(&error), Some(ConnErrorKind::Refused));
    assert_eq!(error.sent(), Sent::No);
    assert_eq!(error.elapsed().as_secs(), 5);
    assert!(error.downcast_ref::<std::io::Error>().is_some());
    assert!(head.is_finished());
}

#[tokio::test(start_paused = true)]
async fn rule_10_an_attempt_timeout_is_separate_and_notices_a_silent_link() {
    let peer = Peer::that(Does::Hang);
    let service = peer.behind(steady().attempt_timeout(2 * SECOND));
    let call = send(&service, message(1));
    pass(3 * SECOND).await;
    assert_eq!(peer.attempts().len(), 2, "2 s of attempt, 100 ms of delay");
    let status = service.links().status();
    assert_eq!(
        status[0].last_error().unwrap().kind(),
        ConnErrorKind::Timeout
    );
    peer.now_does(Does::Answer);
    call.await.unwrap().unwrap();
    let times = peer.times();
    assert_eq!(times[1] - times[0], 2_100 * MS);
    assert_eq!(times[2] - times[1], 2_100 * MS);
}

#[tokio::test(start_paused = true)]
async fn rule_10_an_attempt_timeout_is_a_typed_error_and_cancels_the_attempt() {
    let peer = Peer::that(Does::Hang);
    let layer = RetryOnConnErr::new()
        .attempt_timeout(SECOND)
        .max_attempts(1);
    let service = peer.behind(layer);
    let error = call(&service, message(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AttemptsExhausted);
    assert!(error.downcast_ref::<AttemptTimeout>().is_some());
    assert!(error.into_source().is::<AttemptTimeout>());
    peer.forget_attempts();
    assert_eq!(peer.most_in_flight(), 0, "cancelled");
}

#[tokio::test(start_paused = true)]
async fn max_attempts_ends_it() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().max_attempts(3));
    let error = call(&service, message(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AttemptsExhausted);
    assert_eq!((error.attempts(), peer.attempts().len()), (3, 3));
    assert_eq!(error.history().len(), 3);
    let at: Vec<_> = error
        .history()
        .iter()
        .map(|failed| failed.at().as_millis())
        .collect();
    assert_eq!(at, [0, 100, 200]);
}
