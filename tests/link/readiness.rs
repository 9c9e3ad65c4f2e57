//! Rule 2: every attempt is polled ready (the mock panics if one is not).

use std::io;

use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, ServiceExt};
use tower_conn_retry::{ConnErrorKind, Reason, Renew, RetryOnConnErr, Sent};

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn rule_2_an_error_of_poll_ready_is_the_attempts_error_and_not_sent() {
    let peer = Peer::that(Does::Answer);
    let service = peer.behind(steady());
    peer.is_unready(Some(io::ErrorKind::ConnectionReset));
    // Even a request that is not idempotent is replayed: it was not sent.
    let held = send(
        &service,
        Message {
            idempotent: false,
            ..message(1)
        },
    );
    pass(SECOND).await;
    assert!(!held.is_finished());
    peer.is_unready(None);
    assert_eq!(held.await.unwrap().unwrap(), 1);
    assert_eq!(peer.attempts(), [1]);

    peer.is_unready(Some(io::ErrorKind::ConnectionRefused));
    let service = peer.behind(steady().max_attempts(1));
    let error = call(&service, message(2)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::AttemptsExhausted);
    assert_eq!(kind_of(&error), Some(ConnErrorKind::Refused));
    assert_eq!((error.sent(), error.attempts()), (Sent::No, 1));
}

#[tokio::test(start_paused = true)]
async fn rule_2_a_service_whose_poll_ready_failed_is_replaced() {
    let peer = Peer::that(Does::Answer);
    let mut service = peer.behind(RetryOnConnErr);
    peer.is_unready(Some(io::ErrorKind::InvalidData)); // not a connection error
    peer.forget_attempts();
    let error = service.ready().await.unwrap();
    let error = tower::Service::call(error, message(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotConnError);
    assert_eq!(peer.clones(), 1, "a fresh one");
    peer.is_unready(None);
    assert_eq!(service.oneshot(message(2)).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn rule_2_no_readiness_is_held_while_waiting() {
    let peer = Peer::that(REFUSED);
    let service = steady().layer(ConcurrencyLimit::new(peer.client(), 1));
    // Ten callers, one permit: if the waiting ones kept it, the probe would never get it.
    let calls = burst(&service, 0..10);
    pass(SECOND).await;
    peer.now_does(Does::Answer);
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), number as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_2_replays_use_the_template_and_never_anothers_readiness() {
    let peer = Peer::that(RESET);
    let service = peer.behind(steady());
    let call = send(&service, message(1));
    pass(SECOND).await;
    peer.now_does(Does::Answer);
    call.await.unwrap().unwrap();
    assert!(
        peer.clones() >= peer.attempts().len() - 1,
        "a fresh clone for each replay"
    );
}

/// Its worker has ended for good, and what the docs say helps.
#[tokio::test(start_paused = true)]
async fn a_buffer_of_a_service_whose_poll_ready_failed_is_dead_unless_it_is_made_anew() {
    let peer = Peer::that(Does::Answer);
    let buffer = {
        let peer = peer.clone();
        move || Buffer::new(peer.client(), 8)
    };
    let above = Buffer::new(peer.behind(steady()), 8);
    let below = steady().never_give_up().layer(buffer());
    let renewed = steady().layer(Renew::new(buffer));
    peer.is_unready(Some(io::ErrorKind::ConnectionReset));
    let above = tokio::spawn(above.oneshot(message(1)));
    let below = send(&below, message(2));
    let renewed = send(&renewed, message(3));
    pass(SECOND).await;
    peer.is_unready(None);
    assert_eq!(above.await.unwrap().unwrap(), 1);
    assert_eq!(renewed.await.unwrap().unwrap(), 3);
    pass(1_000 * SECOND).await;
    assert!(!below.is_finished());
    below.abort();
}
