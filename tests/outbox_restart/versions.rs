//! A version of the program that can't read what another one has left.

use std::path::Path;

use tower_conn_retry::outbox::Codec;
use tower_conn_retry::{BoxError, Outbox, Outcome};

use super::life::{Directory, Numbers, life, open, open_with, with};
use crate::peer::*;

/// Writes as [`Numbers`] does, and can't read the odd ones.
struct Newer;

impl Codec<Message> for Newer {
    fn encode(&self, request: &Message, into: &mut Vec<u8>) -> Result<(), BoxError> {
        Numbers.encode(request, into)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, BoxError> {
        let message = Numbers.decode(bytes)?;
        match message.number % 2 {
            0 => Ok(message),
            _ => Err("a field is missing".into()),
        }
    }
}

fn ten_are_left(file: &Path) {
    let peer = Peer::that(REFUSED);
    life(async {
        let outbox = open(file, Outbox::builder);
        let service = with(&peer, &outbox);
        for number in 0..10 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred());
        }
    });
}

#[test]
fn what_this_version_can_not_read_waits_for_one_that_can() {
    let directory = Directory::new();
    let file = directory.file();
    ten_are_left(&file);
    let peer = Peer::that(Does::Answer);
    life(async {
        let outbox = open_with(&file, || Newer, Outbox::builder);
        let mut receipts = outbox.receipts();
        let service = with(&peer, &outbox);
        outbox.flush().await;
        assert_eq!(peer.attempts(), [0, 2, 4, 6, 8]);
        assert_eq!(outbox.len(), 5, "they are still there");
        let told = std::iter::from_fn(|| receipts.try_recv().ok());
        let unreadable = told.filter(|receipt| receipt.outcome() == Outcome::Unreadable);
        assert_eq!(unreadable.count(), 5);
        assert!(outbox.dead_letters().is_empty());
        assert_eq!(call(&service, message(20)).await.unwrap(), 20);
        assert!(outbox.close(SECOND).await.is_empty());
        outbox.flush().await; // there is nothing left to wait for
    });
    peer.forget_attempts();
    life(async {
        let outbox = open(&file, Outbox::builder);
        assert_eq!(outbox.len(), 5);
        let _service = with(&peer, &outbox);
        outbox.flush().await;
        assert_eq!(peer.attempts(), [1, 3, 5, 7, 9]);
        assert!(outbox.is_empty());
    });
}

#[test]
fn nothing_of_it_goes_while_the_peer_is_away() {
    let directory = Directory::new();
    let file = directory.file();
    ten_are_left(&file);
    let peer = Peer::that(REFUSED);
    life(async {
        let outbox = open_with(&file, || Newer, Outbox::builder);
        let mut receipts = outbox.receipts();
        let _service = with(&peer, &outbox);
        for _ in 0..5 {
            assert_eq!(
                receipts.recv().await.unwrap().outcome(),
                Outcome::Unreadable
            );
        }
        assert_eq!(outbox.len(), 10);
        let numbers = |left: Vec<Message>| left.into_iter().map(|message| message.number);
        let left = outbox.close(MS).await;
        assert!(numbers(left).eq([0, 2, 4, 6, 8]));
    });
    assert_eq!(life(async { open(&file, Outbox::builder).len() }), 10);
}

#[test]
fn it_can_be_discarded() {
    let directory = Directory::new();
    let file = directory.file();
    ten_are_left(&file);
    let peer = Peer::that(Does::Answer);
    life(async {
        let outbox = open_with(&file, || Newer, Outbox::builder);
        let service = with(&peer, &outbox);
        outbox.flush().await;
        assert_eq!(outbox.discard_unreadable(), 5);
        assert_eq!(outbox.discard_unreadable(), 0);
        outbox.flush().await;
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
        assert_eq!(call(&service, message(20)).await.unwrap(), 20);
    });
    assert_eq!(life(async { open(&file, Outbox::builder).len() }), 0);
}
