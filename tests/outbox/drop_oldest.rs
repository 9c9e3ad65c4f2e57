//! What has to make room are the oldest that wait, and finding them costs little.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;
use tower_conn_retry::{Limits, Outcome, Reason};

use super::items::*;
use super::outcomes;
use crate::peer::{MS, SECOND, pass, settle};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn a_large_one_that_displaces_many_costs_a_little_for_each() {
    const MANY: usize = 1_000;
    let (store, work) = Counted::new();
    let outbox = builder(Limits::new().bytes(MANY)).store(store).unwrap();
    let (mut client, _) = client(&outbox);
    for number in 0..MANY as u64 {
        fails(&mut client, item(number % 3, number)).await;
    }
    settle().await;
    work.take();
    let large = Item {
        size: MANY,
        ..item(9, MANY as u64)
    };
    assert_eq!(fails(&mut client, large).await, Reason::Deferred);
    let (reads, commits) = work.take();
    assert!(reads <= 6 * MANY, "{reads} reads");
    assert_eq!(commits, 2, "one puts it, one removes all others");
    assert_eq!(outbox.len(), 1);
    assert_eq!(dead(&outbox), (0..MANY as u64).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn how_many_destinations_there_are_costs_nothing() {
    const MANY: u64 = 300;
    let (store, work) = Counted::new();
    let limits = Limits::new().requests(MANY as usize);
    let outbox = builder(limits).store(store).unwrap();
    let (mut client, _) = client(&outbox);
    for number in 0..MANY {
        fails(&mut client, item(number, number)).await;
    }
    settle().await;
    work.take();
    for number in MANY..MANY + 10 {
        let reason = fails(&mut client, item(number % MANY, number)).await;
        assert_eq!(reason, Reason::Deferred);
    }
    let (reads, _) = work.take();
    assert!(reads <= 10 * 6, "{reads} reads");
    assert_eq!(dead(&outbox), (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_a_former_process_left_beyond_the_limits_goes_in_one_pass() {
    let leftovers = (0..1_000).map(|number| item(number % 7, number));
    let (store, work) = Counted::with_leftovers(leftovers);
    let limits = Limits::new().requests(100);
    let outbox = builder(limits).store(store).unwrap();
    let mut receipts = outbox.receipts();
    let (mut client, switch) = client(&outbox);
    assert_eq!(fails(&mut client, item(1, 1_000)).await, Reason::Deferred);
    let (reads, commits) = work.take();
    assert!(reads <= 6 * 900 + 100, "{reads} reads");
    assert_eq!((outbox.len(), commits), (100, 2));
    let dropped = (0..901).map(|ticket| (ticket, Outcome::Dropped));
    assert_eq!(outcomes(&mut receipts), dropped.collect::<Vec<_>>());
    switch.answers.store(true, Ordering::Relaxed);
    timeout(SOON, outbox.flush()).await.expect("the others go");
    let mut tickets: Vec<_> = outcomes(&mut receipts).into_iter().collect();
    tickets.sort_unstable_by_key(|it| it.0);
    let delivered = (901..1_001).map(|ticket| (ticket, Outcome::Delivered));
    assert_eq!(tickets, delivered.collect::<Vec<_>>());
}

/// Beside a queue that pops its first.
#[tokio::test(start_paused = true)]
async fn it_is_always_the_oldest_that_goes() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let left = random.u64(0..30);
        let mut model = BTreeMap::new();
        let mut items = Vec::new();
        for number in 0..left {
            let size = random.usize(1..9);
            items.push(Item {
                size,
                ..item(random.u64(0..5), number)
            });
            model.insert(number, size);
        }
        let (store, _) = Counted::with_leftovers(items.into_iter());
        let limits = Limits::new().requests(10).bytes(40);
        let outbox = builder(limits).store(store).unwrap();
        let mut receipts = outbox.receipts();
        let (mut client, switch) = client(&outbox);
        for number in left..200 {
            let size = random.usize(1..30);
            let one = Item {
                size,
                ..item(random.u64(0..5), number)
            };
            assert_eq!(fails(&mut client, one).await, Reason::Deferred);
            model.insert(number, size);
            let mut dropped = Vec::new();
            while model.len() > 10 || model.values().sum::<usize>() > 40 {
                let first = model.pop_first().unwrap().0;
                dropped.push((first, Outcome::Dropped));
            }
            assert_eq!(outcomes(&mut receipts), dropped, "{seed} {number}");
            assert_eq!(outbox.len(), model.len());
            assert_eq!(outbox.bytes(), model.values().sum::<usize>());
            if random.u8(..20) == 0 {
                // All start, and fail.
                pass(250 * MS).await;
            }
            if random.u8(..50) == 0 {
                switch.answers.store(true, Ordering::Relaxed);
                timeout(SOON, outbox.flush()).await.expect("all go");
                switch.answers.store(false, Ordering::Relaxed);
                model.clear();
                outcomes(&mut receipts);
                // Until then calls would be answered, or fail in their own attempts.
                let again = fails(&mut client, item(0, number)).await;
                assert_eq!(again, Reason::Deferred);
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_told_that_nothing_can_make_room_for_it() {
    let outbox = builder(Limits::new().requests(1)).in_memory();
    let mut receipts = outbox.receipts();
    let (mut client, switch) = client(&outbox);
    assert_eq!(fails(&mut client, item(0, 0)).await, Reason::Deferred);
    switch.hangs.store(true, Ordering::Relaxed);
    switch.answers.store(true, Ordering::Relaxed);
    pass(SECOND).await; // the probe is in flight
    assert_eq!(fails(&mut client, item(0, 1)).await, Reason::QueueFull);
    assert_eq!((outbox.len(), outbox.bytes()), (1, 1));
    assert!(dead(&outbox).is_empty(), "its caller has it");
    assert_eq!(outcomes(&mut receipts), []);
    timeout(60 * SECOND, outbox.flush()).await.expect("it goes");
    assert_eq!(outcomes(&mut receipts), [(0, Outcome::Delivered)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_for_one_that_has_no_room_then() {
    let outbox = builder(Limits::new().bytes(100)).in_memory();
    let (mut client, switch) = client(&outbox);
    let first = Item {
        size: 60,
        ..item(0, 0)
    };
    fails(&mut client, first).await;
    switch.hangs.store(true, Ordering::Relaxed);
    pass(SECOND).await; // the probe is in flight
    for number in 1..10 {
        fails(&mut client, item(0, number)).await;
    }
    let large = Item {
        size: 50,
        ..item(0, 10)
    };
    assert_eq!(fails(&mut client, large).await, Reason::QueueFull);
    assert_eq!((outbox.len(), outbox.bytes()), (10, 69));
    assert!(dead(&outbox).is_empty());
}
