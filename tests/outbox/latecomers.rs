//! Those that wait behind others, or come while others are read: none is forgotten.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::outbox::MemoryStore;
use tower_conn_retry::{Outbox, RetryOnConnErr};

use super::faulty::{Faulty, with_leftovers};
use super::with;
use crate::peer::*;

const SOON: Duration = Duration::from_secs(20);

/// A service that is not ready until it is said to be.
#[derive(Clone)]
struct Gated {
    client: Client,
    gate: Arc<Mutex<(bool, Vec<Waker>)>>,
}

impl Service<Message> for Gated {
    type Response = u64;
    type Error = std::io::Error;
    type Future = <Client as Service<Message>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let mut gate = self.gate.lock().unwrap();
        if !gate.0 {
            gate.1.push(cx.waker().clone());
            return Poll::Pending;
        }
        self.client.poll_ready(cx)
    }

    fn call(&mut self, message: Message) -> Self::Future {
        self.client.call(message)
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_behind_one_that_is_not_ready_is_not_forgotten() {
    let peer = Peer::that(Does::AnswerAfter(SECOND));
    let gate = Arc::default();
    let gated = Gated {
        client: peer.client(),
        gate: Arc::clone(&gate),
    };
    let outbox = with_leftovers(0..3);
    let _service = steady().outbox(outbox.clone()).layer(gated);
    settle().await;
    let wakers = {
        let mut gate = gate.lock().unwrap();
        gate.0 = true;
        std::mem::take(&mut gate.1)
    };
    wakers.into_iter().for_each(Waker::wake);
    timeout(SOON, outbox.flush()).await.expect("all go");
    assert_eq!(peer.attempts(), [0, 1, 2]);
}

#[tokio::test]
async fn one_that_comes_while_later_ones_are_read_is_not_forgotten() {
    let mut store = Faulty::new(MemoryStore::new());
    let (read, was_read) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    store.in_memory = false;
    store.after_read = Some((read, may_go_on));
    let outbox = Outbox::builder().store(store).unwrap();
    let fails = Arc::new(Notify::new());
    let got = Arc::new(Mutex::new(Vec::new()));
    let peer = {
        let (fails, got) = (fails.clone(), got.clone());
        let mut attempts = 0;
        let attempts = Arc::new(Mutex::new(move || {
            attempts += 1;
            attempts
        }));
        service_fn(move |number: Message| {
            let (fails, got) = (fails.clone(), got.clone());
            let attempt = (attempts.lock().unwrap())();
            async move {
                match attempt {
                    1 => fails.notified().await,
                    2 => {}
                    _ => {
                        got.lock().unwrap().push(number.number);
                        return Ok(number.number);
                    }
                }
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused))
            }
        })
    };
    let service = RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(100 * MS))
        .outbox(outbox.clone())
        .layer(peer);
    let first = tokio::spawn(service.clone().oneshot(message(1)));
    tokio::task::yield_now().await;
    let second = service.clone().oneshot(message(2)).await.unwrap_err();
    assert!(second.is_deferred());
    tokio::task::spawn_blocking(move || was_read.recv_timeout(SOON))
        .await
        .unwrap()
        .expect("the worker reads");
    fails.notify_one();
    while outbox.len() < 2 {
        tokio::task::yield_now().await;
    }
    go_on.send(()).unwrap();
    assert!(first.await.unwrap().unwrap_err().is_deferred());
    timeout(SOON, outbox.flush())
        .await
        .expect("both are delivered");
    assert_eq!(got.lock().unwrap().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_between_those_that_were_read_costs_none_of_them() {
    // Fifty are read at once, of which 32 are on their way, when the call that began in the middle
    // of them fails.
    let peer = Peer::new(|message| match message.number {
        40 => Does::FailAfter(30 * SECOND, std::io::ErrorKind::ConnectionRefused),
        _ => REFUSED,
    });
    let outbox = Outbox::builder().survive_cancel(true).in_memory();
    let service = with(&peer, &outbox);
    let calls: Vec<_> = (0..50).map(|n| call(&service, message(n))).collect();
    let calls = calls.into_iter().map(tokio::spawn);
    let calls: Vec<_> = calls.collect();
    pass(40 * SECOND).await;
    for call in calls {
        assert!(call.await.unwrap().unwrap_err().is_deferred());
    }
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    timeout(SOON, outbox.flush()).await.expect("all go");
    let mut got = peer.attempts();
    got.dedup();
    assert_eq!(got, (0..50).collect::<Vec<_>>());
}
