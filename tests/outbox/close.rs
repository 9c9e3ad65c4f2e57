//! The end of an outbox.

use std::sync::mpsc;
use std::time::Duration;

use futures_util::poll;
use tokio::time::timeout;
use tower_conn_retry::outbox::MemoryStore;
use tower_conn_retry::{Outbox, Outcome, Reason};

use super::faulty::Faulty;
use super::{outcomes, with};
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
async fn what_is_answered_while_the_store_is_read_is_not_handed_out() {
    let (reads, was_read) = mpsc::channel();
    let (go_on, gate) = mpsc::channel();
    let mut store = Faulty::new(MemoryStore::new());
    store.in_memory = false;
    store.after_read = Some((reads, gate));
    store.reads_before = 1;
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::builder().store(store).unwrap();
    let service = with(&peer, &outbox);
    let mut receipts = outbox.receipts();
    call(&service, message(0)).await.unwrap_err();
    peer.now_does(Does::Answer);
    while was_read.try_recv().is_err() {
        pass(MS).await;
    }
    pass(SECOND).await;
    assert_eq!(peer.attempts(), [0, 0], "it was answered");
    let store = async {
        pass(SECOND).await;
        go_on.send(()).unwrap();
    };
    let (left, ()) = tokio::join!(outbox.close(MS), store);
    assert_eq!(numbers(left), [0; 0]);
    assert_eq!(outcomes(&mut receipts), [(0, Outcome::Delivered)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_left_is_handed_out_though_who_closed_it_left_while_the_store_ended() {
    let (ends, has_ended) = mpsc::channel();
    let (go_on, gate) = mpsc::channel();
    let mut store = Faulty::new(MemoryStore::new());
    store.in_memory = false;
    store.at_end = Some((ends, gate));
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::builder().store(store).unwrap();
    let service = with(&peer, &outbox);
    for number in 0..3 {
        call(&service, message(number)).await.unwrap_err();
    }
    let mut closes = Box::pin(outbox.close(MS));
    while has_ended.try_recv().is_err() {
        assert!(poll!(&mut closes).is_pending());
        pass(MS).await;
    }
    drop(closes);
    go_on.send(()).unwrap();
    // Without a limit: the store's thread runs in real time, and the paused clock does not wait for it.
    let left = outbox.close(MS).await;
    assert_eq!(numbers(left), [0, 1, 2]);
    assert_eq!(numbers(outbox.close(MS).await), [0; 0], "once");
    assert!(outbox.is_empty());
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
