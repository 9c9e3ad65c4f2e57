//! Services that panic: no message but their own is harmed.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;
use tower::{Layer, Service, service_fn};
use tower_conn_retry::Outcome;

use super::faulty::with_leftovers;
use super::{outcomes, with};
use crate::peer::*;

const SOON: Duration = Duration::from_secs(20);

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_makes_a_dead_letter_of_its_message_alone() {
    let peer = Peer::new(|message| match message.number {
        1 => panic!("on purpose"),
        _ => Does::AnswerAfter(MS),
    });
    let outbox = with_leftovers(0..4);
    let mut receipts = outbox.receipts();
    let service = with(&peer, &outbox);
    timeout(SOON, outbox.flush()).await.expect("the others go");
    let dead = outbox.dead_letters();
    assert_eq!((dead.len(), dead[0].request().number), (1, 1));
    assert_eq!(dead[0].outcome(), Outcome::Refused);
    assert_eq!(outcomes(&mut receipts).len(), 4);
    // The line is as good as new.
    assert_eq!(call(&service, message(9)).await.unwrap(), 9);
    assert!(
        timeout(SOON, outbox.close(SECOND))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_panics_makes_a_dead_letter_of_its_message_alone() {
    for after in [Duration::ZERO, MS] {
        let got = Arc::new(Mutex::new(Vec::new()));
        let seen = got.clone();
        let peer = service_fn(move |message: Message| {
            let seen = seen.clone();
            async move {
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                assert_ne!(message.number, 1, "on purpose");
                seen.lock().unwrap().push(message.number);
                Ok::<_, std::io::Error>(message.number)
            }
        });
        let outbox = with_leftovers(0..4);
        let _service = steady().outbox(outbox.clone()).layer(peer);
        timeout(SOON, outbox.flush()).await.expect("the others go");
        assert_eq!(*got.lock().unwrap(), [0, 2, 3]);
        assert_eq!(outbox.dead_letters()[0].request().number, 1);
        assert!(
            timeout(SOON, outbox.close(SECOND))
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_clone_of_the_service_that_panics_is_made_again() {
    struct Fragile(Client, Arc<Mutex<u32>>);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            let mut left = self.1.lock().unwrap();
            *left = left.saturating_sub(1);
            let panics = *left == 1;
            drop(left);
            assert!(!panics, "on purpose");
            Self(self.0.clone(), self.1.clone())
        }
    }
    impl Service<Message> for Fragile {
        type Response = u64;
        type Error = std::io::Error;
        type Future = <Client as Service<Message>>::Future;
        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
            self.0.poll_ready(cx)
        }
        fn call(&mut self, message: Message) -> Self::Future {
            self.0.call(message)
        }
    }
    let peer = Peer::that(Does::Answer);
    let outbox = with_leftovers(0..3);
    // The first clone is the layer's own.
    let fragile = Fragile(peer.client(), Arc::new(Mutex::new(3)));
    let _service = steady().outbox(outbox.clone()).layer(fragile);
    timeout(SOON, outbox.flush()).await.expect("all go");
    assert_eq!(peer.attempts(), [0, 1, 2]);
}
