//! A service that outlives the runtime in which it was layered.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tower::Layer;
use tower_conn_retry::{Outbox, RetryOnConnErr};

use super::{Service, with};
use crate::peer::*;

const SOON: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// One message is deferred, and the runtime ends.
fn orphaned(peer: &Peer, outbox: &Outbox<Message>) -> Service {
    let quick = RetryOnConnErr::new().backoff(|| std::iter::repeat(5 * MS));
    runtime().block_on(async {
        let service = quick.outbox(outbox.clone()).layer(peer.client());
        let error = call(&service, message(0)).await.unwrap_err();
        assert!(error.is_deferred());
        service
    })
}

#[test]
fn a_call_in_another_runtime_has_the_outbox_go_on() {
    let (peer, outbox) = (Peer::that(REFUSED), Outbox::in_memory());
    let service = orphaned(&peer, &outbox);
    peer.now_does(Does::Answer);
    peer.forget_attempts();
    runtime().block_on(async {
        let error = call(&service, message(1)).await.unwrap_err();
        assert!(error.is_deferred(), "behind the other");
        timeout(SOON, outbox.flush()).await.unwrap();
        assert_eq!(call(&service, message(2)).await.unwrap(), 2);
    });
    assert_eq!(peer.attempts(), [0, 1, 2]);
}

#[test]
fn to_a_new_destination_too() {
    let (peer, outbox) = (Peer::that(REFUSED), Outbox::in_memory());
    let service = orphaned(&peer, &outbox);
    let to_a = Message {
        to: "a",
        ..message(1)
    };
    runtime().block_on(async {
        assert!(call(&service, to_a).await.unwrap_err().is_deferred());
        peer.now_does(Does::Answer);
        timeout(SOON, outbox.flush()).await.unwrap();
    });
    assert!(outbox.is_empty());
}

#[test]
fn one_that_is_answered_at_once_too() {
    let (peer, outbox) = (Peer::that(REFUSED), Outbox::in_memory());
    let service = orphaned(&peer, &outbox);
    let to_a = Message {
        to: "a",
        ..message(1)
    };
    peer.now_does(Does::Answer);
    runtime().block_on(async {
        assert_eq!(call(&service, to_a).await.unwrap(), 1);
        let empty = async {
            while !outbox.is_empty() {
                pass(MS).await;
            }
        };
        timeout(SOON, empty).await.expect("it goes on");
    });
}

#[test]
fn flush_has_it_go_on() {
    let (peer, outbox) = (Peer::that(REFUSED), Outbox::in_memory());
    let _service = orphaned(&peer, &outbox);
    peer.now_does(Does::Answer);
    runtime().block_on(async { timeout(SOON, outbox.flush()).await.unwrap() });
    assert!(outbox.is_empty());
}

#[test]
fn what_a_runtime_leaves_can_be_taken_in_another_one() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let first = runtime();
    first.block_on(async {
        let service = with(&peer, &outbox);
        for number in 0..3 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred());
        }
    });
    drop(first);
    let left = runtime().block_on(async { timeout(SOON, outbox.close(MS)).await });
    let left: Vec<_> = left.unwrap().into_iter().map(|of| of.number).collect();
    assert_eq!(left, [0, 1, 2]);
}
