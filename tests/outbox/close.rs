//! The end of an outbox.

use std::time::Duration;

use tokio::time::timeout;
use tower_conn_retry::{Outbox, Reason};

use super::with;
use crate::peer::*;

const SOON: Duration = Duration::from_secs(20);

fn numbers(left: Vec<Message>) -> Vec<u64> {
    left.into_iter().map(|message| message.number).collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_handed_out_in_order() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    for number in 0..100 {
        call(&service, message(number)).await.unwrap_err();
    }
    let began = tokio::time::Instant::now();
    let left = outbox.close(5 * SECOND).await;
    assert_eq!(began.elapsed(), 5 * SECOND);
    assert_eq!(numbers(left), (0..100).collect::<Vec<_>>());
    assert!(outbox.is_empty());
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    pass(60 * SECOND).await;
    assert_eq!(peer.attempts(), [0; 0], "it is over");
}

#[tokio::test(start_paused = true)]
async fn it_closes_as_soon_as_it_is_empty() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    call(&service, message(1)).await.unwrap_err();
    peer.now_does(Does::Answer);
    let began = tokio::time::Instant::now();
    assert_eq!(numbers(outbox.close(60 * SECOND).await), [0; 0]);
    assert!(began.elapsed() < SECOND);
    assert_eq!(peer.attempts(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn later_calls_fail() {
    let peer = Peer::that(Does::Answer);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    outbox.close(SECOND).await;
    let error = call(&service, message(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Closed);
    assert_eq!(peer.attempts(), [0; 0]);
    assert_eq!(numbers(outbox.close(SECOND).await), [0; 0], "again");
}

#[tokio::test(start_paused = true)]
async fn an_outbox_without_a_service_closes() {
    let outbox: Outbox<Message> = Outbox::in_memory();
    assert_eq!(numbers(outbox.close(SECOND).await), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_outbox_that_was_closed() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    call(&service, message(1)).await.unwrap_err();
    let flushes = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.flush().await }
    });
    let closes = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.close(3_600 * SECOND).await }
    });
    settle().await;
    let left = outbox.close(SECOND).await;
    assert_eq!(left.len(), 1);
    timeout(SOON, flushes)
        .await
        .expect("nothing is left")
        .unwrap();
    let other = timeout(SOON, closes).await.expect("nothing is left");
    assert!(other.unwrap().is_empty());
}
