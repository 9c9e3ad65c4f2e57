//! Stores that refuse, or can't read: no message is stuck, no count is wrong.

use std::time::Duration;

use tokio::time::timeout;
use tower_conn_retry::outbox::MemoryStore;
use tower_conn_retry::{Limits, Outbox, OutboxBuilder, Outcome, Reason, WhenFull};

use super::faulty::{Faulty, leftovers};
use super::{outcomes, with};
use crate::peer::*;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn what_a_store_in_memory_refuses_is_not_deferred() {
    let mut store = Faulty::new(MemoryStore::new());
    store.refuses = true;
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::builder().store(store).unwrap();
    let service = with(&peer, &outbox);
    let error = call(&service, message(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotStored);
    settle().await;
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
}

#[tokio::test]
async fn what_a_store_refuses_when_its_caller_is_gone_is_told() {
    let mut store = Faulty::new(MemoryStore::new());
    store.refuses = true;
    store.in_memory = false;
    let peer = Peer::that(Does::Hang);
    let outbox = Outbox::builder().survive_cancel(true).store(store).unwrap();
    let mut receipts = outbox.receipts();
    let service = with(&peer, &outbox);
    drop(call(&service, message(1)));
    let receipt = timeout(SOON, receipts.recv()).await.unwrap().unwrap();
    assert_eq!(receipt.outcome(), Outcome::NotStored);
    timeout(SOON, outbox.flush())
        .await
        .expect("it is not counted");
}

#[tokio::test]
async fn what_cant_be_read_does_not_make_room() {
    for in_memory in [true, false] {
        let mut store = Faulty::new(leftovers(0..5));
        store.unreadable = vec![3];
        store.in_memory = in_memory;
        let peer = Peer::that(REFUSED);
        let builder: OutboxBuilder<Message> = Outbox::builder();
        let outbox = builder
            .limits(Limits::new().requests(3))
            .when_full(WhenFull::DropOldest)
            .store(store)
            .unwrap();
        let service = with(&peer, &outbox);
        let mut receipts = outbox.receipts();
        for number in 5..12 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred(), "{error}");
        }
        peer.now_does(Does::Answer);
        timeout(SOON, outbox.flush()).await.expect("all is counted");
        assert_eq!(outbox.len(), 1, "it is there still, {in_memory}");
        let dropped = outcomes(&mut receipts).into_iter();
        let of_three: Vec<_> = dropped.filter(|(ticket, _)| *ticket == 3).collect();
        assert_eq!(of_three, [(3, Outcome::Unreadable)]);
        assert_eq!(outbox.discard_unreadable(), 1);
        timeout(SOON, outbox.flush()).await.expect("all is counted");
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0), "{in_memory}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cant_be_read_is_discarded_while_others_are_delivered_one_after_the_other() {
    let mut store = Faulty::new(leftovers(0..100));
    store.unreadable = vec![3];
    let outbox = Outbox::builder().store(store).unwrap();
    let within = outbox.clone();
    let peer = Peer::new(move |message| {
        if message.number == 50 {
            assert_eq!(within.discard_unreadable(), 1);
        }
        Does::Answer
    });
    let _service = with(&peer, &outbox);
    timeout(SOON, outbox.flush()).await.expect("all is counted");
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
    assert_eq!(peer.attempts().len(), 99);
}
