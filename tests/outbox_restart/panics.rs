//! Code of the user's that panics on the thread of the store: nothing but its own message is harmed.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

use tokio::time::timeout;
use tower_conn_retry::outbox::Codec;
use tower_conn_retry::{BoxError, Limits, Outbox, OutboxBuilder, Reason, WhenFull};

use super::life::{Directory, Numbers, life, with};
use crate::peer::*;

/// Those of 13 can't be encoded, those of 14 not decoded: it panics.
struct Buggy;

impl Codec<Message> for Buggy {
    fn encode(&self, request: &Message, into: &mut Vec<u8>) -> Result<(), BoxError> {
        assert_ne!(request.number, 13, "a bug in encode");
        Numbers.encode(request, into)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Message, BoxError> {
        let message = Numbers.decode(bytes)?;
        assert_ne!(message.number, 14, "a bug in decode");
        Ok(message)
    }
}

fn buggy(file: &Path, builder: OutboxBuilder<Message>) -> Outbox<Message> {
    builder.open(file, Buggy).unwrap()
}

#[test]
fn a_codec_that_panics_in_encode_refuses_this_message_alone() {
    let directory = Directory::new();
    life(async {
        let outbox = buggy(&directory.file(), Outbox::builder());
        let peer = Peer::that(REFUSED);
        let service = with(&peer, &outbox);
        for number in [11, 12, 13, 16, 17] {
            let error = call(&service, message(number)).await.unwrap_err();
            match number {
                13 => assert_eq!(error.reason(), Reason::NotStored),
                _ => assert!(error.is_deferred(), "{number}: {error:?}"),
            }
        }
        assert_eq!(outbox.len(), 4);
        assert_eq!(outbox.close(MS).await.len(), 4);
        let outbox = Outbox::open(directory.file(), Numbers).unwrap();
        assert_eq!(outbox.len(), 4);
        peer.forget_attempts();
        peer.now_does(Does::Answer);
        let _service = with(&peer, &outbox);
        outbox.flush().await;
        assert_eq!(peer.attempts(), [11, 12, 16, 17]);
    });
}

#[test]
fn a_codec_that_panics_in_decode_blocks_no_other_message() {
    let directory = Directory::new();
    let peer = Peer::that(REFUSED);
    for _restart in 0..2 {
        life(async {
            let outbox = buggy(&directory.file(), Outbox::builder());
            let service = with(&peer, &outbox);
            peer.now_does(REFUSED);
            for number in 13..16 {
                let _ = call(&service, message(number)).await;
            }
            peer.forget_attempts();
            peer.now_does(Does::Answer);
            while !peer.attempts().contains(&15) {
                pass(MS).await;
            }
            timeout(10 * SECOND, outbox.close(MS))
                .await
                .expect("it ends");
        });
    }
}

#[test]
fn a_codec_that_panics_where_the_oldest_is_dropped_harms_no_later_call() {
    let directory = Directory::new();
    life(async {
        let builder = Outbox::builder()
            .limits(Limits::new().requests(3))
            .when_full(WhenFull::DropOldest);
        let outbox = buggy(&directory.file(), builder);
        let peer = Peer::that(REFUSED);
        let service = with(&peer, &outbox);
        for number in 14..24 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred(), "{number}: {error:?}");
        }
        while outbox.len() > 3 {
            pass(MS).await;
        }
        peer.now_does(Does::Answer);
        while !peer.attempts().contains(&23) {
            pass(MS).await;
        }
        outbox.close(MS).await;
    });
}

/// Panics when it is woken.
struct Alarm;

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        panic!("a bug in a waker");
    }
}

#[test]
fn a_waker_that_panics_does_not_end_the_thread() {
    let directory = Directory::new();
    life(async {
        let outbox = Outbox::open(directory.file(), Numbers).unwrap();
        let peer = Peer::that(REFUSED);
        let service = with(&peer, &outbox);
        call(&service, message(1)).await.unwrap_err();
        let mut bad = Box::pin(call(&service, message(2)));
        let waker = Waker::from(Arc::new(Alarm));
        assert!(
            bad.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        for number in 3..6 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred(), "{error:?}");
        }
        // It was told all the same.
        assert!(bad.await.unwrap_err().is_deferred());
        assert_eq!(outbox.len(), 5);
        peer.forget_attempts();
        peer.now_does(Does::Answer);
        outbox.flush().await;
        assert_eq!(peer.attempts(), [1, 2, 3, 4, 5]);
        assert!(outbox.close(SECOND).await.is_empty());
    });
}
