//! What waits for a slow store is bounded.

use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use futures_util::poll;
use tokio::time::timeout;
use tower::Service;
use tower_conn_retry::{Limits, Outbox, Outcome, Reason};

use super::items::*;
use super::outcomes;
use crate::peer::MS;

const SOON: Duration = Duration::from_secs(20);

/// An outbox for three messages, and three that are being stored, on a store that waits for a word.
fn slow() -> (Outbox<Item>, Client, Switch, mpsc::Sender<()>) {
    let (mut store, _) = Counted::new();
    let (go_on, gate) = mpsc::channel();
    store.gate = Some(gate);
    let builder = builder(Limits::new().requests(3)).survive_cancel(true);
    let outbox = builder.store(store).unwrap();
    let (client, switch) = client(&outbox);
    (outbox, client, switch, go_on)
}

#[tokio::test]
async fn callers_who_leave_a_slow_store_do_not_make_it_larger() {
    let (outbox, mut client, switch, go_on) = slow();
    let mut receipts = outbox.receipts();
    for number in 0..40 {
        let mut call = Box::pin(client.call(item(0, number)));
        while number == 0 && outbox.is_empty() {
            let _ = poll!(&mut call);
            tokio::task::yield_now().await;
        }
        drop(call);
        assert!(outbox.len() <= 3, "{}", outbox.len());
    }
    let dropped: Vec<_> = (3..40).map(|ticket| (ticket, Outcome::Dropped)).collect();
    assert_eq!(outcomes(&mut receipts), dropped);
    switch.answers.store(true, Ordering::Relaxed);
    for _ in 0..100 {
        let _ = go_on.send(());
    }
    timeout(SOON, outbox.flush()).await.expect("three go");
    assert_eq!(outcomes(&mut receipts).len(), 3);
}

#[tokio::test]
async fn callers_of_a_slow_store_wait_and_the_newest_stay() {
    let (outbox, mut client, _, go_on) = slow();
    let mut calls = Vec::new();
    for number in 0..20 {
        let mut call = Box::pin(client.call(item(0, number)));
        while number == 0 && outbox.is_empty() {
            let _ = poll!(&mut call);
            tokio::task::yield_now().await;
        }
        assert!(poll!(&mut call).is_pending());
        calls.push(call);
    }
    assert_eq!(outbox.len(), 3);
    for _ in 0..200 {
        go_on.send(()).unwrap();
    }
    for call in calls {
        let error = timeout(SOON, call).await.unwrap().unwrap_err();
        let told = [Reason::Deferred, Reason::QueueFull];
        assert!(told.contains(&error.reason()), "{error}");
        assert!(outbox.len() <= 6);
    }
    let left = timeout(SOON, outbox.close(MS)).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|item| item.number).collect();
    // An older one may have been on its way: the probe.
    assert_eq!((left.len(), &left[1..]), (3, &[18, 19][..]));
}

#[tokio::test]
async fn those_who_come_in_wait_until_there_is_room() {
    let (outbox, client, _, go_on) = slow();
    let callers = (0..40).map(|number| {
        let mut client = client.clone();
        tokio::spawn(async move { client.call(item(0, number)).await })
    });
    let callers: Vec<_> = callers.collect();
    for _ in 0..400 {
        go_on.send(()).unwrap();
    }
    while !callers.iter().all(|caller| caller.is_finished()) {
        assert!(outbox.len() <= 6, "{}", outbox.len());
        tokio::task::yield_now().await;
    }
}
