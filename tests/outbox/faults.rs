//! Panics, stores that fail, runtimes that end: no message is stuck, no count is wrong.

use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::outbox::{Changes, Contents, MemoryStore, Message as Stored, Store, Ticket};
use tower_conn_retry::{
    BoxError, Destination, Limits, Outbox, OutboxBuilder, Outcome, Reason, RetryOnConnErr, WhenFull,
};

use super::{outcomes, with};
use crate::peer::*;

const SOON: Duration = Duration::from_secs(20);

fn stored(number: u64) -> Stored<Message> {
    Stored {
        ticket: Ticket::new(number),
        destination: Destination::default(),
        request: message(number),
        size: 100,
        since: Duration::ZERO,
        attempts: 0,
        maybe_sent: false,
        max_age: None,
    }
}

/// What a former process has left.
pub(super) fn leftovers(numbers: std::ops::Range<u64>) -> MemoryStore<Message> {
    let mut store = MemoryStore::new();
    let changes = Changes {
        put: numbers.map(stored).collect(),
        remove: Vec::new(),
        clock: Duration::ZERO,
    };
    store.commit(changes).unwrap();
    store
}

pub(super) fn with_leftovers(numbers: std::ops::Range<u64>) -> Outbox<Message> {
    Outbox::builder().store(leftovers(numbers)).unwrap()
}

/// A store in memory with faults.
struct Faulty {
    inner: MemoryStore<Message>,
    in_memory: bool,
    refuses: bool,
    unreadable: Vec<u64>,
    /// Told when something was read; the answer waits for a word.
    after_read: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
}

impl Faulty {
    fn new(inner: MemoryStore<Message>) -> Self {
        Self {
            inner,
            in_memory: true,
            refuses: false,
            unreadable: Vec::new(),
            after_read: None,
        }
    }
}

impl Store<Message> for Faulty {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.inner.contents()
    }

    fn commit(&mut self, changes: Changes<Message>) -> Result<(), BoxError> {
        if self.refuses && !changes.put.is_empty() {
            return Err("no room left".into());
        }
        self.inner.commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Message>, BoxError>),
    ) -> Result<(), BoxError> {
        let unreadable = &self.unreadable;
        self.inner.read(
            destination,
            after,
            most,
            &mut |ticket, message| match unreadable.contains(&ticket.get()) {
                true => show(ticket, Err("damaged".into())),
                false => show(ticket, message),
            },
        )?;
        if let Some((read, go_on)) = self.after_read.take() {
            read.send(())?;
            go_on.recv()?;
        }
        Ok(())
    }

    fn is_in_memory(&self) -> bool {
        self.in_memory
    }
}

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

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_an_outbox_that_was_closed() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    call(&service, message(1)).await.unwrap_err();
    let flushes = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.flush().await }
    });
    let closes = tokio::spawn({
        let outbox = outbox.clone();
        async move { outbox.close(3_600 * SECOND).await }
    });
    settle().await;
    let left = outbox.close(SECOND).await;
    assert_eq!(left.len(), 1);
    timeout(SOON, flushes)
        .await
        .expect("nothing is left")
        .unwrap();
    let other = timeout(SOON, closes).await.expect("nothing is left");
    assert!(other.unwrap().is_empty());
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

#[tokio::test(start_paused = true)]
async fn what_a_store_in_memory_refuses_is_not_deferred() {
    let mut store = Faulty::new(MemoryStore::new());
    store.refuses = true;
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::builder().store(store).unwrap();
    let service = with(&peer, &outbox);
    let error = call(&service, message(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotStored);
    settle().await;
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
}

#[tokio::test]
async fn what_a_store_refuses_when_its_caller_is_gone_is_told() {
    let mut store = Faulty::new(MemoryStore::new());
    store.refuses = true;
    store.in_memory = false;
    let peer = Peer::that(Does::Hang);
    let outbox = Outbox::builder().survive_cancel(true).store(store).unwrap();
    let mut receipts = outbox.receipts();
    let service = with(&peer, &outbox);
    drop(call(&service, message(1)));
    let receipt = timeout(SOON, receipts.recv()).await.unwrap().unwrap();
    assert_eq!(receipt.outcome(), Outcome::NotStored);
    timeout(SOON, outbox.flush())
        .await
        .expect("it is not counted");
}

#[tokio::test]
async fn what_cant_be_read_does_not_make_room() {
    for in_memory in [true, false] {
        let mut store = Faulty::new(leftovers(0..5));
        store.unreadable = vec![3];
        store.in_memory = in_memory;
        let peer = Peer::that(REFUSED);
        let builder: OutboxBuilder<Message> = Outbox::builder();
        let outbox = builder
            .limits(Limits::new().requests(3))
            .when_full(WhenFull::DropOldest)
            .store(store)
            .unwrap();
        let service = with(&peer, &outbox);
        let mut receipts = outbox.receipts();
        for number in 5..12 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred(), "{error}");
        }
        peer.now_does(Does::Answer);
        timeout(SOON, outbox.flush()).await.expect("all is counted");
        assert_eq!(outbox.len(), 1, "it is there still, {in_memory}");
        let dropped = outcomes(&mut receipts).into_iter();
        let of_three: Vec<_> = dropped.filter(|(ticket, _)| *ticket == 3).collect();
        assert_eq!(of_three, [(3, Outcome::Unreadable)]);
        assert_eq!(outbox.discard_unreadable(), 1);
        timeout(SOON, outbox.flush()).await.expect("all is counted");
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0), "{in_memory}");
    }
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

#[tokio::test(start_paused = true)]
async fn what_cant_be_read_is_discarded_while_others_are_delivered_one_after_the_other() {
    let mut store = Faulty::new(leftovers(0..100));
    store.unreadable = vec![3];
    let outbox = Outbox::builder().store(store).unwrap();
    let within = outbox.clone();
    let peer = Peer::new(move |message| {
        if message.number == 50 {
            assert_eq!(within.discard_unreadable(), 1);
        }
        Does::Answer
    });
    let _service = with(&peer, &outbox);
    timeout(SOON, outbox.flush()).await.expect("all is counted");
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
    assert_eq!(peer.attempts().len(), 99);
}
