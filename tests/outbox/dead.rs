//! What is not delivered can be had, within limits.

use futures_util::{FutureExt, poll};
use tower_conn_retry::{Limits, Outbox, Outcome, WhenFull};

use super::{outcomes, with};
use crate::peer::*;

fn dead(outbox: &Outbox<Message>) -> Vec<u64> {
    let dead = outbox.dead_letters().into_iter();
    dead.map(|letter| letter.request().number).collect()
}

/// Owns three messages of 100 bytes.
fn three() -> Outbox<Message> {
    Outbox::builder()
        .limits(Limits::new().bytes(300))
        .when_full(WhenFull::DropOldest)
        .in_memory()
}

#[tokio::test(start_paused = true)]
async fn dead_letters_are_bounded_in_bytes_and_those_that_are_lost_are_counted() {
    let peer = Peer::that(REFUSED);
    let outbox = three();
    let mut receipts = outbox.receipts();
    let service = with(&peer, &outbox);
    for number in 0..10 {
        assert!(
            call(&service, message(number))
                .await
                .unwrap_err()
                .is_deferred()
        );
    }
    assert_eq!(outbox.bytes(), 300);
    assert_eq!(outbox.lost_letters(), 4);
    assert_eq!(dead(&outbox), [4, 5, 6]);
    let dropped: Vec<_> = (0..7).map(|ticket| (ticket, Outcome::Dropped)).collect();
    assert_eq!(outcomes(&mut receipts), dropped, "all are told");
    // There is room for as many again.
    for number in 10..13 {
        call(&service, message(number)).await.unwrap_err();
    }
    assert_eq!(outbox.lost_letters(), 4);
    assert_eq!(dead(&outbox), [7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn what_is_larger_than_all_dead_letters_may_be_is_lost() {
    let peer = Peer::that(Does::Hang);
    let outbox = Outbox::builder()
        .limits(Limits::new().bytes(99))
        .survive_cancel(true)
        .in_memory();
    let service = with(&peer, &outbox);
    drop(call(&service, message(1)));
    assert_eq!((outbox.lost_letters(), dead(&outbox)), (1, vec![]));
}

#[tokio::test(start_paused = true)]
async fn who_takes_dead_letters_as_they_come_loses_none() {
    let peer = Peer::that(REFUSED);
    let outbox = three();
    let service = with(&peer, &outbox);
    let reads = tokio::spawn({
        let outbox = outbox.clone();
        async move {
            let mut numbers = Vec::new();
            while numbers.len() < 17 {
                numbers.push(outbox.next_dead_letter().await.request().number);
            }
            numbers
        }
    });
    for number in 0..20 {
        call(&service, message(number)).await.unwrap_err();
        settle().await;
    }
    assert!(reads.is_finished());
    assert_eq!(reads.await.unwrap(), (0..17).collect::<Vec<_>>());
    assert_eq!(outbox.lost_letters(), 0);
}

#[tokio::test(start_paused = true)]
async fn one_who_goes_away_takes_no_dead_letter_with_him() {
    let peer = Peer::that(REFUSED);
    let outbox = three();
    let service = with(&peer, &outbox);
    let mut gone = Box::pin(outbox.next_dead_letter());
    let mut stays = Box::pin(outbox.next_dead_letter());
    assert!(poll!(&mut gone).is_pending());
    assert!(poll!(&mut stays).is_pending());
    for number in 0..4 {
        call(&service, message(number)).await.unwrap_err();
    }
    drop(gone);
    // It was the other one who was woken.
    assert_eq!(stays.await.request().number, 0);
    call(&service, message(4)).await.unwrap_err();
    let next = outbox.next_dead_letter().now_or_never();
    assert_eq!(next.expect("it is there").request().number, 1);
}
