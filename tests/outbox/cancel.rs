//! Callers come and go.

use std::time::Duration;

use tokio::time::timeout;
use tower_conn_retry::{Outbox, Outcome};

use super::with;
use crate::peer::*;

const SOON: Duration = Duration::from_secs(20);

fn surviving() -> Outbox<Message> {
    Outbox::builder().survive_cancel(true).in_memory()
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_moves_to_the_outbox_if_that_is_asked_for() {
    let peer = Peer::that(Does::Hang);
    let outbox = surviving();
    let service = with(&peer, &outbox);
    let hangs = send(&service, message(1));
    settle().await;
    peer.now_does(Does::Answer);
    hangs.abort();
    hangs.await.unwrap_err();
    outbox.flush().await;
    assert_eq!(peer.attempts(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn else_it_vanishes() {
    let peer = Peer::that(Does::Hang);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let hangs = send(&service, message(1));
    settle().await;
    hangs.abort();
    hangs.await.unwrap_err();
    assert_eq!(outbox.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_is_not_sent_again() {
    let peer = Peer::that(Does::AnswerAfter(SECOND));
    let outbox = surviving();
    let service = with(&peer, &outbox);
    assert_eq!(call(&service, message(1)).await.unwrap(), 1);
    peer.now_does(Does::Refuse);
    call(&service, message(2)).await.unwrap_err();
    peer.now_does(Does::Answer);
    assert_eq!(call(&service, message(3)).await.unwrap(), 3);
    pass(SECOND).await;
    assert_eq!(peer.attempts(), [1, 2, 3]);
    assert!(outbox.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_is_deferred_while_the_link_is_down() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    call(&service, message(1)).await.unwrap_err();
    drop(call(&service, message(2)));
    assert_eq!(outbox.len(), 2);
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    outbox.flush().await;
    assert_eq!(peer.attempts(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_done_twice_is_a_dead_letter() {
    let peer = Peer::that(Does::Hang);
    let outbox = surviving();
    let service = with(&peer, &outbox);
    let hangs = send(
        &service,
        Message {
            idempotent: false,
            ..message(1)
        },
    );
    settle().await;
    hangs.abort();
    hangs.await.unwrap_err();
    assert_eq!(outbox.len(), 0);
    let dead = outbox.dead_letters();
    assert_eq!((dead.len(), dead[0].outcome()), (1, Outcome::Refused));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_found_its_service_broken_survives_its_caller() {
    let peer = Peer::that(Does::Answer);
    let outbox = Outbox::builder().survive_cancel(true).in_memory();
    let service = with(&peer, &outbox);
    peer.is_unready(Some(std::io::ErrorKind::ConnectionReset));
    drop(call(&service, message(1)));
    assert_eq!(outbox.len(), 1);
    peer.is_unready(None);
    timeout(SOON, outbox.flush()).await.expect("it goes");
    assert_eq!(peer.attempts(), [1]);
}
