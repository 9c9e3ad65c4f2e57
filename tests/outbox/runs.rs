//! Messages that are answered at once go one after the other. Whatever happens meanwhile is heard
//! before the next one goes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tower::{Layer, Service};
use tower_conn_retry::{
    ByTrait, ConnRetry, DefaultPolicy, Error, Limits, Outbox, OutboxBuilder, Outcome, Reason,
    WhenFull,
};

use super::outcomes;
use crate::peer::steady;

/// So many wait at the link when it comes up again. The others go one after the other.
const HELD: usize = 32;

const DOWN: io::ErrorKind = io::ErrorKind::ConnectionRefused;

enum Does {
    Answer,
    /// At the second poll.
    AnswerLater,
    Fail(io::ErrorKind),
    FailWhen(oneshot::Receiver<()>),
}

type DoesWhat = Box<dyn FnMut(u64) -> Does + Send>;

#[derive(Clone, Default)]
struct Peer {
    does: Arc<Mutex<Option<DoesWhat>>>,
    got: Arc<Mutex<Vec<u64>>>,
}

impl Service<String> for Peer {
    type Response = ();
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, message: String) -> Self::Future {
        let number = message.parse().unwrap();
        self.got.lock().unwrap().push(number);
        let does = match &mut *self.does.lock().unwrap_or_else(|it| it.into_inner()) {
            Some(does) => does(number),
            None => Does::Fail(DOWN),
        };
        Box::pin(async {
            match does {
                Does::Answer => Ok(()),
                Does::AnswerLater => {
                    tokio::task::yield_now().await;
                    Ok(())
                }
                Does::Fail(kind) => Err(kind.into()),
                Does::FailWhen(told) => {
                    let _ = told.await;
                    Err(DOWN.into())
                }
            }
        })
    }
}

type Layered = ConnRetry<Peer, DefaultPolicy, ByTrait, Outbox<String>>;
type Call = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

#[derive(Clone)]
struct Fixture {
    peer: Peer,
    outbox: Outbox<String>,
    service: Arc<OnceLock<Layered>>,
}

impl Fixture {
    fn new(builder: OutboxBuilder<String>) -> Self {
        let outbox = builder.in_memory();
        let peer = Peer::default();
        let service = Arc::new(OnceLock::new());
        let _ = service.set(steady().outbox(outbox.clone()).layer(peer.clone()));
        Self {
            peer,
            outbox,
            service,
        }
    }

    fn call(&self, number: u64) -> Call {
        let mut service = self.service.get().unwrap().clone();
        let ready = futures_util::future::poll_fn(|cx| service.poll_ready(cx));
        ready.now_or_never().unwrap().unwrap();
        Box::pin(service.call(number.to_string()))
    }

    fn defer(&self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let error = self.call(number).now_or_never().unwrap().unwrap_err();
            assert!(error.is_deferred());
        }
    }

    fn now(&self, does: impl FnMut(u64) -> Does + Send + 'static) {
        *self.peer.does.lock().unwrap() = Some(Box::new(does));
        self.peer.got.lock().unwrap().clear();
    }

    async fn got_all(&self) -> Vec<u64> {
        self.outbox.flush().await;
        assert_eq!((self.outbox.len(), self.outbox.bytes()), (0, 0));
        self.peer.got.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn some_are_answered_at_once_and_some_not() {
    let fixture = Fixture::new(Outbox::builder());
    let mut receipts = fixture.outbox.receipts();
    fixture.defer(0..500);
    let is_refused = |number| number % 11 == 5 || number == 100;
    fixture.now(|number| match number {
        100 => panic!("one of them"),
        number if number % 11 == 5 => Does::Fail(io::ErrorKind::InvalidData),
        number if number % 7 == 3 => Does::AnswerLater,
        _ => Does::Answer,
    });
    let got = fixture.got_all().await;
    assert_eq!(got, (0..500).collect::<Vec<_>>());
    let mut outcomes = outcomes(&mut receipts);
    outcomes.sort_unstable_by_key(|(ticket, _)| *ticket);
    let expected = (0..500).map(|number| match is_refused(number) {
        true => (number, Outcome::Refused),
        false => (number, Outcome::Delivered),
    });
    assert_eq!(outcomes, expected.collect::<Vec<_>>());
    let dead = fixture.outbox.dead_letters();
    assert!(dead.iter().all(|dead| is_refused(dead.ticket().get())));
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_is_counted_at_once() {
    let fixture = Fixture::new(Outbox::builder());
    fixture.defer(0..300);
    let outbox = fixture.outbox.clone();
    let lens = Arc::<Mutex<Vec<_>>>::default();
    let (seen, each) = (lens.clone(), outbox.bytes() / 300);
    fixture.now(move |_| {
        seen.lock().unwrap().push(outbox.len());
        assert!(outbox.bytes() >= each * (outbox.len() - 1));
        Does::Answer
    });
    assert_eq!(fixture.got_all().await.len(), 300);
    let expected: Vec<_> = (1..=300).rev().collect();
    assert_eq!(lens.lock().unwrap()[HELD..], expected[HELD..]);
    assert!(fixture.outbox.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn there_is_room_for_as_many_as_were_answered() {
    let limits = Limits::new().requests(100);
    let fixture = Fixture::new(Outbox::builder().limits(limits));
    fixture.defer(0..100);
    let within = fixture.clone();
    fixture.now(move |number| {
        if number == 50 {
            within.defer(100..150);
            let refused = within.call(150).now_or_never().unwrap().unwrap_err();
            assert_eq!(refused.reason(), Reason::QueueFull);
        }
        Does::Answer
    });
    assert_eq!(fixture.got_all().await, (0..150).collect::<Vec<_>>());
    assert!(fixture.outbox.dead_letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_oldest_that_waits_is_the_one_after_the_present() {
    let limits = Limits::new().requests(100);
    let builder = Outbox::builder().limits(limits);
    let fixture = Fixture::new(builder.when_full(WhenFull::DropOldest));
    fixture.defer(0..100);
    let within = fixture.clone();
    fixture.now(move |number| {
        if number == 50 {
            within.defer(100..151); // 50 were answered, so there is room for as many
        }
        Does::Answer
    });
    let all_but_one = (0..151).filter(|number| *number != 51);
    assert_eq!(fixture.got_all().await, all_but_one.collect::<Vec<_>>());
    let dead = fixture.outbox.dead_letters();
    let dead: Vec<_> = dead.iter().map(|dead| dead.request().as_str()).collect();
    assert_eq!(dead, ["51"]);
}

#[tokio::test(start_paused = true)]
async fn one_that_comes_late_is_the_next() {
    let fixture = Fixture::new(Outbox::builder());
    let (tell, told) = oneshot::channel();
    let mut told = Some(told);
    fixture.now(move |_| told.take().map_or(Does::Fail(DOWN), Does::FailWhen));
    let mut first = fixture.call(0);
    assert!((&mut first).now_or_never().is_none());
    fixture.defer(1..100);
    let mut tell = Some((tell, first));
    fixture.now(move |number| {
        if let Some((tell, first)) = tell.take_if(|_| number == 50) {
            tell.send(()).unwrap();
            let error = first.now_or_never().unwrap().unwrap_err();
            assert!(error.is_deferred());
        }
        Does::Answer
    });
    let order = (1..=50).chain([0]).chain(51..100);
    assert_eq!(fixture.got_all().await, order.collect::<Vec<_>>());
}

/// Four callers of a service that comes and goes, and answers at once if at all.
async fn all_is_answered_in_order_or_dropped(limit: usize, when_full: WhenFull) {
    const CALLS: u64 = 2_500;
    let limits = Limits::new().requests(limit);
    let fixture = Fixture::new(Outbox::builder().limits(limits).when_full(when_full));
    let answered = Arc::<Mutex<Vec<_>>>::default();
    let (answers, mut calls) = (answered.clone(), 0);
    fixture.now(move |number| {
        calls += 1;
        if calls % 1_000 < 2 {
            return Does::Fail(DOWN);
        }
        answers.lock().unwrap().push(number);
        Does::Answer
    });
    let dropped = Arc::<Mutex<Vec<_>>>::default();
    let callers = (0..4).map(|caller| {
        let (fixture, dropped) = (fixture.clone(), dropped.clone());
        tokio::spawn(async move {
            for number in caller * CALLS..(caller + 1) * CALLS {
                let sent = fixture.call(number).await;
                if let Some(error) = sent.err().filter(|error| !error.is_deferred()) {
                    // It came so late that it would have been the oldest, and was not taken.
                    assert_eq!(
                        (error.reason(), when_full),
                        (Reason::QueueFull, WhenFull::DropOldest)
                    );
                    dropped.lock().unwrap().push(number);
                }
                // Each of the others may be making room just now.
                assert!(fixture.outbox.len() <= limit + 3);
                let dead = fixture.outbox.dead_letters();
                let dead = dead
                    .iter()
                    .map(|dead| dead.request().parse::<u64>().unwrap());
                dropped.lock().unwrap().extend(dead);
                if number % 16 == 0 {
                    tokio::time::sleep(Duration::from_micros(100)).await;
                }
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let all = async {
        for caller in callers {
            caller.await.unwrap();
        }
        fixture.got_all().await;
    };
    let all = tokio::time::timeout(Duration::from_secs(60), all);
    all.await.expect("no hang");
    let (mut answered, mut dropped): (Vec<u64>, Vec<u64>) = (
        answered.lock().unwrap().clone(),
        dropped.lock().unwrap().clone(),
    );
    for caller in 0..4 {
        let of = answered.iter().filter(|number| **number / CALLS == caller);
        assert!(of.is_sorted());
    }
    answered.append(&mut dropped);
    answered.sort_unstable();
    assert_eq!(answered, (0..4 * CALLS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost() {
    all_is_answered_in_order_or_dropped(10_000, WhenFull::Reject).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_dropped_was_not_answered() {
    all_is_answered_in_order_or_dropped(40, WhenFull::DropOldest).await;
}
