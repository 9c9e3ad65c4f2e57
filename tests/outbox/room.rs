//! Who waits for room gets it in the order of the calls.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::{FutureExt, poll};
use tower::{Layer, Service, service_fn};
use tower_conn_retry::{
    Error, Limits, Outbox, OutboxBuilder, Outcome, Reason, Replayable, WhenFull,
};

use super::outcomes;
use crate::peer::*;

type Call = Pin<Box<dyn Future<Output = Result<(), Error>>>>;

#[derive(Clone, Debug, PartialEq)]
struct Text(String);

impl Replayable for Text {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn size_hint(&self) -> usize {
        self.0.len()
    }
}

/// Messages are as large as their texts are long, and leave the outbox when they are 10 s old.
struct Fixture {
    outbox: Outbox<Text>,
    is_up: Arc<AtomicBool>,
    call: Box<dyn FnMut(&str) -> Call>,
}

impl Fixture {
    fn new(limits: Limits) -> Self {
        let builder: OutboxBuilder<Text> = Outbox::builder();
        Self::of(builder.limits(limits))
    }

    fn of(builder: OutboxBuilder<Text>) -> Self {
        let is_up = Arc::<AtomicBool>::default();
        let up = is_up.clone();
        let client = service_fn(move |_: Text| {
            let up = up.load(Ordering::Relaxed);
            async move {
                match up {
                    true => Ok(()),
                    false => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                }
            }
        });
        let builder = builder.max_age(10 * SECOND).when_full(WhenFull::Wait);
        let outbox = builder.in_memory();
        let mut service = steady().outbox(outbox.clone()).layer(client);
        let call = move |text: &str| -> Call {
            let ready = futures_util::future::poll_fn(|cx| service.poll_ready(cx));
            ready.now_or_never().unwrap().unwrap();
            Box::pin(service.call(Text(text.to_owned())))
        };
        Self {
            outbox,
            is_up,
            call: Box::new(call),
        }
    }

    /// Calls, and polls once.
    async fn begin(&mut self, text: &str) -> Call {
        let mut call = (self.call)(text);
        assert!(poll!(&mut call).is_pending(), "{text} waits");
        call
    }

    async fn defers(&mut self, text: &str) {
        assert_deferred(&mut (self.call)(text)).await;
    }
}

async fn assert_deferred(call: &mut Call) {
    match poll!(call) {
        Poll::Ready(Err(error)) => assert!(error.is_deferred(), "{error:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_call_takes_no_room_from_one_that_waits() {
    let mut fixture = Fixture::new(Limits::new().requests(1));
    fixture.defers("first").await;
    pass(SECOND).await;
    let mut second = fixture.begin("second").await;
    // There is room again, and nobody has polled the one who waits for it.
    pass(10 * SECOND).await;
    assert_eq!(fixture.outbox.dead_letters().len(), 1);
    let mut third = fixture.begin("third").await;
    assert_eq!(fixture.outbox.len(), 1);
    assert_deferred(&mut second).await;
    fixture.is_up.store(true, Ordering::Relaxed);
    fixture.outbox.flush().await;
    assert_deferred(&mut third).await;
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_come_in_in_the_order_of_their_calls() {
    let mut fixture = Fixture::new(Limits::new().requests(2));
    let mut receipts = fixture.outbox.receipts();
    fixture.defers("0").await;
    fixture.defers("1").await;
    let mut calls = Vec::new();
    for number in 2..10 {
        calls.push(fixture.begin(&number.to_string()).await);
    }
    fixture.is_up.store(true, Ordering::Relaxed);
    // They are not polled, and come in all the same.
    fixture.outbox.flush().await;
    let expected: Vec<_> = (0..10).map(|ticket| (ticket, Outcome::Delivered)).collect();
    assert_eq!(outcomes(&mut receipts), expected);
    for call in &mut calls {
        assert_deferred(call).await;
    }
}

#[tokio::test(start_paused = true)]
async fn small_ones_do_not_starve_a_large_one() {
    let mut fixture = Fixture::new(Limits::new().bytes(100));
    fixture.defers(&"a".repeat(40)).await;
    pass(5 * SECOND).await;
    fixture.defers(&"b".repeat(40)).await;
    pass(4 * SECOND).await;
    let mut large = fixture.begin(&"c".repeat(90)).await;
    // These would fit.
    let mut small = fixture.begin("d").await;
    let mut other = fixture.begin("e").await;
    pass(2 * SECOND).await;
    assert_eq!(fixture.outbox.bytes(), 40);
    assert!(poll!(&mut small).is_pending());
    pass(5 * SECOND).await;
    assert_eq!(fixture.outbox.bytes(), 92);
    for call in [&mut large, &mut small, &mut other] {
        assert_deferred(call).await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_away_takes_no_room_with_it() {
    let mut fixture = Fixture::new(Limits::new().bytes(100));
    fixture.defers(&"a".repeat(60)).await;
    pass(SECOND).await;
    let large = fixture.begin(&"b".repeat(90)).await;
    let mut small = fixture.begin(&"c".repeat(40)).await;
    let gone = fixture.begin("d").await;
    let mut last = fixture.begin("e").await;
    drop(gone);
    // Nothing leaves the outbox, but now the next one fits.
    drop(large);
    assert_eq!(fixture.outbox.bytes(), 100);
    assert_deferred(&mut small).await;
    assert!(poll!(&mut last).is_pending());
    pass(9 * SECOND + MS).await;
    assert_deferred(&mut last).await;
    assert_eq!(fixture.outbox.dead_letters().len(), 1);
    assert_eq!(fixture.outbox.bytes(), 41);
}

#[tokio::test(start_paused = true)]
async fn one_that_can_never_have_room_is_told_at_once() {
    let mut fixture = Fixture::new(Limits::new().bytes(100));
    let mut call = (fixture.call)(&"a".repeat(101));
    let Poll::Ready(Err(error)) = poll!(&mut call) else {
        panic!("it waits");
    };
    assert_eq!(error.reason(), Reason::QueueFull);
}

#[tokio::test(start_paused = true)]
async fn who_waits_when_the_outbox_is_closed_is_told() {
    let mut fixture = Fixture::new(Limits::new().requests(1));
    fixture.defers("first").await;
    let mut second = fixture.begin("second").await;
    assert_eq!(fixture.outbox.close(MS).await, [Text("first".into())]);
    let Poll::Ready(Err(error)) = poll!(&mut second) else {
        panic!("it waits");
    };
    assert_eq!(error.reason(), Reason::Closed);
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_away_while_it_waits_is_a_dead_letter_if_it_should_survive() {
    let builder = Outbox::builder().survive_cancel(true);
    let mut fixture = Fixture::of(builder.limits(Limits::new().requests(1)));
    fixture.defers("first").await;
    drop(fixture.begin("second").await);
    let dead = fixture.outbox.dead_letters();
    assert_eq!((dead.len(), dead[0].outcome()), (1, Outcome::Dropped));
    assert_eq!(dead[0].request().0, "second");
    assert_eq!(fixture.outbox.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_goes_away_after_the_end_is_a_dead_letter_if_it_should_survive() {
    for survives in [true, false] {
        let builder = Outbox::builder().survive_cancel(survives);
        let mut fixture = Fixture::of(builder.limits(Limits::new().requests(1)));
        let mut receipts = fixture.outbox.receipts();
        fixture.defers("first").await;
        let second = fixture.begin("second").await;
        assert_eq!(fixture.outbox.close(MS).await.len(), 1);
        // It was told, and has not heard.
        drop(second);
        let dead = fixture.outbox.dead_letters();
        let dead: Vec<_> = dead.iter().map(|it| it.request().0.as_str()).collect();
        let told = outcomes(&mut receipts);
        if survives {
            assert_eq!(
                (&*dead, &*told),
                (&["second"][..], &[(1, Outcome::Dropped)][..])
            );
        } else {
            assert!(dead.is_empty() && told.is_empty());
        }
    }
}
