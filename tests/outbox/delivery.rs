//! What is deferred is delivered, in order.

use tokio::time::timeout;
use tower::limit::ConcurrencyLimit;
use tower::{Layer, ServiceExt};
use tower_conn_retry::{Outbox, Outcome, Reason, Sent};

use super::faulty::with_leftovers;
use super::{Service, outcomes, with};
use crate::peer::*;

#[tokio::test(start_paused = true)]
async fn what_fails_is_deferred_and_delivered_when_the_link_is_back() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let mut receipts = outbox.receipts();
    let error = call(&service, message(1)).await.unwrap_err();
    assert!(error.is_deferred());
    assert_eq!(error.reason(), Reason::Deferred);
    assert_eq!((error.attempts(), error.sent()), (1, Sent::Maybe));
    let ticket = error.ticket().unwrap();
    assert_eq!((outbox.len(), outbox.bytes()), (1, 100));
    pass(550 * MS).await;
    assert_eq!(peer.attempts(), [1; 6], "the probes are the outbox's");
    peer.now_does(Does::Answer);
    outbox.flush().await;
    assert_eq!(peer.attempts(), [1; 7]);
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
    assert_eq!(
        outcomes(&mut receipts),
        [(ticket.get(), Outcome::Delivered)]
    );
    assert_eq!(call(&service, message(2)).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn order_is_that_of_the_calls() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let mut tickets = Vec::new();
    for number in 0..200 {
        let error = call(&service, message(number)).await.unwrap_err();
        tickets.push(error.ticket().unwrap());
    }
    assert!(tickets.is_sorted());
    peer.forget_attempts();
    peer.now_does(Does::AnswerAfter(MS));
    outbox.flush().await;
    assert_eq!(peer.attempts(), (0..200).collect::<Vec<_>>());
    assert!(peer.most_in_flight() > 1, "the drain gathers speed");
}

#[tokio::test(start_paused = true)]
async fn those_in_flight_together_are_deferred_in_the_order_of_their_calls() {
    // The later a call, the sooner it fails.
    let peer = Peer::new(|message| {
        let time = MS * (20 - message.number as u32);
        Does::FailAfter(time, std::io::ErrorKind::ConnectionRefused)
    });
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let calls = burst(&service, 0..10);
    for call in calls {
        assert!(call.await.unwrap().unwrap_err().is_deferred());
    }
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    outbox.flush().await;
    let mut first: Vec<_> = peer.attempts();
    first.dedup();
    assert_eq!(first, (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_after_many_were_deferred_goes_before_them() {
    let peer = Peer::new(|message| match message.number {
        0 => Does::FailAfter(50 * MS, std::io::ErrorKind::ConnectionRefused),
        _ => REFUSED,
    });
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let first = send(&service, message(0));
    settle().await;
    for number in 1..100 {
        call(&service, message(number)).await.unwrap_err();
    }
    let error = first.await.unwrap().unwrap_err();
    assert!(error.is_deferred());
    peer.forget_attempts();
    peer.now_does(Does::AnswerAfter(MS));
    outbox.flush().await;
    assert_eq!(peer.attempts(), (0..100).collect::<Vec<_>>());
}

/// Twenty messages wait for a peer that is down, in strict order.
async fn twenty_in_strict_order(peer: &Peer) -> (Outbox<Message>, Service) {
    let outbox = Outbox::in_memory();
    let layer = steady().in_order().outbox(outbox.clone());
    let service = layer.layer(peer.client());
    for number in 0..20 {
        call(&service, message(number)).await.unwrap_err();
    }
    peer.forget_attempts();
    (outbox, service)
}

#[tokio::test(start_paused = true)]
async fn where_order_is_strict_no_delivery_passes_one_that_has_not_heard_yet() {
    let reset = |time| Does::FailAfter(time, std::io::ErrorKind::ConnectionReset);
    let peer = Peer::that(REFUSED);
    let (outbox, _service) = twenty_in_strict_order(&peer).await;
    // A connection breaks with many in flight. The last of them hears first, the others much later
    // than the next probe is due.
    peer.now(move |message| match message.number {
        0..4 => Does::Answer,
        11 => reset(MS),
        _ => reset(700 * MS),
    });
    pass(500 * MS).await;
    assert_eq!(peer.attempts(), (0..12).collect::<Vec<_>>());
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    outbox.flush().await;
    assert_eq!(peer.attempts(), (4..20).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn where_order_is_strict_one_that_never_hears_does_not_block_the_others_for_good() {
    let peer = Peer::that(REFUSED);
    let (outbox, _service) = twenty_in_strict_order(&peer).await;
    peer.now(move |message| match message.number {
        0..4 => Does::Answer,
        4 => Does::Hang,
        _ => RESET,
    });
    pass(500 * MS).await;
    peer.now_does(Does::Answer);
    peer.forget_attempts();
    pass(2 * SECOND).await;
    assert_eq!(peer.attempts(), (5..20).collect::<Vec<_>>());
    outbox.flush().await; // when its time is over
    assert_eq!(peer.attempts()[15..], [4]);
}

#[tokio::test(start_paused = true)]
async fn while_it_is_not_empty_new_calls_go_behind_what_it_has() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    call(&service, message(1)).await.unwrap_err();
    peer.now_does(Does::AnswerAfter(SECOND));
    pass(500 * MS).await; // the probe is in flight
    let error = call(&service, message(2)).await.unwrap_err();
    assert!(error.is_deferred());
    assert_eq!((error.attempts(), error.sent()), (0, Sent::No));
    outbox.flush().await;
    assert_eq!(peer.attempts(), [1, 1, 2]);
    assert_eq!(call(&service, message(3)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn destinations_dont_block_each_other() {
    let to = |to, number| Message {
        to,
        ..message(number)
    };
    let peer = Peer::new(|message| match message.to {
        "down" => REFUSED,
        _ => Does::Answer,
    });
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let error = call(&service, to("down", 1)).await.unwrap_err();
    assert!(error.is_deferred());
    assert_eq!(call(&service, to("up", 2)).await.unwrap(), 2);
    assert_eq!(outbox.len(), 1);
    peer.now_does(Does::Answer);
    outbox.flush().await;
}

#[tokio::test(start_paused = true)]
async fn one_broken_connection_is_replayed_in_the_call() {
    let mut first = true;
    let peer = Peer::new(move |_| match std::mem::take(&mut first) {
        true => RESET,
        false => Does::Answer,
    });
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    assert_eq!(call(&service, message(1)).await.unwrap(), 1);
    assert!(outbox.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_a_dead_letter_and_blocks_nobody() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let mut receipts = outbox.receipts();
    for number in 1..=3 {
        call(&service, message(number)).await.unwrap_err();
    }
    peer.now(|message| match message.number {
        2 => Does::Refuse,
        _ => Does::Answer,
    });
    outbox.flush().await;
    let dead = outbox.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].request().number, 2);
    assert_eq!(dead[0].outcome(), Outcome::Refused);
    let error = dead[0].error().unwrap();
    assert_eq!(error.reason(), Reason::NotConnError);
    assert!(outbox.dead_letters().is_empty(), "they are taken out");
    let outcomes = outcomes(&mut receipts);
    let outcomes: Vec<_> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    use Outcome::{Delivered, Refused};
    assert_eq!(outcomes, [Delivered, Refused, Delivered]);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_every_connection_is_a_dead_letter() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    for number in 1..=3 {
        call(&service, message(number)).await.unwrap_err();
    }
    peer.now(|message| match message.number {
        1 => RESET,
        _ => Does::Answer,
    });
    outbox.flush().await;
    let dead = outbox.dead_letters();
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].error().unwrap().reason(), Reason::Poisoned);
    let delivered: Vec<_> = peer.attempts().into_iter().filter(|n| *n != 1).collect();
    assert_eq!(delivered[delivered.len() - 2..], [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_hangs_ends_and_is_made_again() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    call(&service, message(1)).await.unwrap_err();
    peer.now_does(Does::Hang);
    pass(170 * SECOND).await; // give_up_after is 180 s
    assert_eq!(peer.attempts(), [1, 1]);
    peer.now_does(Does::Answer);
    outbox.flush().await;
    assert_eq!(peer.attempts(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_first_attempt_that_hangs_is_deferred_when_the_callers_time_is_over() {
    let peer = Peer::that(Does::Hang);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let began = tokio::time::Instant::now();
    let error = call(&service, message(1)).await.unwrap_err();
    assert!(error.is_deferred(), "{error}");
    assert_eq!(began.elapsed(), 180 * SECOND);
    peer.now_does(Does::Answer);
    outbox.flush().await;
    assert_eq!(peer.attempts(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_done_twice_is_deferred_only_while_it_was_not_sent() {
    let once = |number| Message {
        idempotent: false,
        ..message(number)
    };
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let error = call(&service, once(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotIdempotent);
    // The link is down now, so this one has no attempt of its own.
    call(&service, message(2)).await.unwrap_err();
    let error = call(&service, once(3)).await.unwrap_err();
    assert!(error.is_deferred());
    peer.now(|message| match message.number {
        3 => RESET,
        _ => Does::Answer,
    });
    outbox.flush().await;
    let dead = outbox.dead_letters();
    assert_eq!(dead[0].request().number, 3);
    assert_eq!(dead[0].error().unwrap().reason(), Reason::NotIdempotent);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "an outbox belongs to one service")]
async fn an_outbox_belongs_to_one_service() {
    let peer = Peer::that(Does::Answer);
    let outbox = Outbox::in_memory();
    let _one = with(&peer, &outbox);
    let _two = with(&peer, &outbox);
}

#[tokio::test(start_paused = true)]
async fn a_worker_holds_no_place_at_a_service_that_it_does_not_call() {
    let peer = Peer::that(Does::Answer);
    let outbox = with_leftovers(0..3);
    let limited = ConcurrencyLimit::new(peer.client(), 1);
    let layer = steady().outbox(outbox.clone());
    let mut service = layer.layer(limited);
    // The only place is taken when the worker comes.
    service.ready().await.unwrap();
    settle().await;
    assert_eq!(peer.attempts(), [0; 0]);
    drop(service);
    let flush = timeout(SECOND, outbox.flush());
    flush.await.expect("the place is free");
    assert_eq!(peer.attempts(), [0, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_not_ready_yet_is_the_one_that_delivers() {
    let peer = Peer::that(Does::AnswerAfter(MS));
    let outbox = with_leftovers(0..20);
    let limited = ConcurrencyLimit::new(peer.client(), 1);
    let _service = steady().outbox(outbox.clone()).layer(limited);
    peer.forget_attempts();
    let flush = timeout(SECOND, outbox.flush());
    flush.await.expect("all are answered");
    assert_eq!(peer.attempts(), (0..20).collect::<Vec<_>>());
    assert!(peer.clones() <= 20 + 1, "{}", peer.clones());
}
