//! Attempts that panic when they are dropped.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::timeout;
use tower::{Layer, service_fn};
use tower_conn_retry::{Outbox, Outcome};

use super::faulty::with_leftovers;
use crate::peer::*;

const SOON: Duration = Duration::from_secs(20);

/// Panics when it is dropped, and `at_once` when it is polled.
struct Bad {
    at_once: bool,
}

impl Future for Bad {
    type Output = io::Result<u64>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<u64>> {
        assert!(!self.at_once, "it was polled");
        Poll::Pending
    }
}

impl Drop for Bad {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("it was dropped");
        }
    }
}

fn bad(outbox: &Outbox<Message>, at_once: bool) {
    let client = service_fn(move |_: Message| Bad { at_once });
    steady().outbox(outbox.clone()).layer(client);
}

#[tokio::test(start_paused = true)]
async fn close_ends_though_an_attempt_panics_when_it_is_dropped() {
    let outbox = with_leftovers(0..2);
    bad(&outbox, false);
    settle().await;
    let left = timeout(SOON, outbox.close(MS)).await.expect("it ends");
    assert_eq!(left.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_panics_when_polled_and_when_dropped_is_a_dead_letter() {
    let outbox = with_leftovers(0..3);
    bad(&outbox, true);
    timeout(SOON, outbox.flush()).await.expect("it ends");
    let dead = outbox.dead_letters();
    let dead: Vec<_> = dead
        .iter()
        .map(|it| (it.request().number, it.outcome()))
        .collect();
    assert_eq!(dead, [0, 1, 2].map(|number| (number, Outcome::Refused)));
}
