//! Attempts and requests that panic when they are dropped, and wakers when they are woken.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::time::timeout;
use tower::{Layer, ServiceExt, service_fn};
use tower_conn_retry::outbox::{Changes, Contents, MemoryStore, Message as Stored, Store, Ticket};
use tower_conn_retry::{
    BoxError, Destination, Limits, Outbox, OutboxBuilder, Outcome, Replayable, WhenFull,
};

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

/// A request whose drop panics, once, when it is told to.
struct Bomb {
    number: u64,
    armed: Arc<AtomicBool>,
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.armed.swap(false, Ordering::Relaxed) {
            panic!("it was dropped");
        }
    }
}

impl Replayable for Bomb {
    fn try_clone(&self) -> Option<Self> {
        Some(Self {
            number: self.number,
            armed: self.armed.clone(),
        })
    }
}

fn bomb(number: u64, armed: &Arc<AtomicBool>) -> Bomb {
    Bomb {
        number,
        armed: armed.clone(),
    }
}

/// From the second time that somebody looks for message 1 alone it shows the next one, as if that one was gone
/// meanwhile, and the copy of that explodes.
struct Jumps {
    inner: MemoryStore<Bomb>,
    looks: AtomicUsize,
    in_memory: bool,
    armed: Arc<AtomicBool>,
}

impl Store<Bomb> for Jumps {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.inner.contents()
    }

    fn commit(&mut self, changes: Changes<Bomb>) -> Result<(), BoxError> {
        self.inner.commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        mut after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Bomb>, BoxError>),
    ) -> Result<(), BoxError> {
        let is_alone = most == 1 && after == Some(Ticket::new(0));
        if is_alone && self.looks.fetch_add(1, Ordering::Relaxed) == 0 {
            after = Some(Ticket::new(1));
            self.armed.store(true, Ordering::Relaxed);
        }
        self.inner.read(destination, after, most, show)
    }

    fn is_in_memory(&self) -> bool {
        self.in_memory
    }
}

fn drops_oldest<Req: Send + 'static>(most: usize) -> OutboxBuilder<Req> {
    let builder: OutboxBuilder<Req> = Outbox::builder();
    builder
        .limits(Limits::new().requests(most))
        .when_full(WhenFull::DropOldest)
}

#[tokio::test]
async fn a_request_that_panics_where_the_oldest_are_dropped_costs_no_count() {
    for in_memory in [false, true] {
        let armed = Arc::default();
        let mut inner = MemoryStore::new();
        let put = (0..4).map(|number| Stored {
            ticket: Ticket::new(number),
            destination: Destination::default(),
            request: bomb(number, &armed),
            size: 1,
            since: Duration::ZERO,
            attempts: 0,
            maybe_sent: false,
            max_age: None,
        });
        let (put, remove, clock) = (put.collect(), Vec::new(), Duration::ZERO);
        let changes = Changes { put, remove, clock };
        inner.commit(changes).unwrap();
        let store = Jumps {
            inner,
            looks: AtomicUsize::new(0),
            in_memory,
            armed: Arc::clone(&armed),
        };
        let outbox = drops_oldest(2).store(store).unwrap();
        let answers = Arc::new(AtomicBool::new(false));
        let up = answers.clone();
        let peer = service_fn(move |bomb: Bomb| {
            let up = up.load(Ordering::Relaxed);
            async move {
                match up {
                    true => Ok(bomb.number),
                    false => Err(io::Error::from(io::ErrorKind::ConnectionRefused)),
                }
            }
        });
        let service = steady().outbox(outbox.clone()).layer(peer);
        let error = service.clone().oneshot(bomb(4, &armed)).await.unwrap_err();
        assert!(error.is_deferred(), "{error}");
        assert!(!armed.load(Ordering::Relaxed), "it was dropped");
        answers.store(true, Ordering::Relaxed);
        timeout(SOON, outbox.flush()).await.expect("all is counted");
        assert_eq!((outbox.len(), outbox.bytes()), (0, 0), "{in_memory}");
        let dead = outbox.dead_letters();
        assert!(
            dead.iter().any(|it| it.request().number == 0),
            "{in_memory}"
        );
        // What was made room for is not counted as on its way for ever.
        answers.store(false, Ordering::Relaxed);
        for number in 5..9 {
            let call = service.clone().oneshot(bomb(number, &armed));
            let error = timeout(SOON, call).await.expect("there is room");
            assert!(error.unwrap_err().is_deferred());
        }
        assert_eq!(outbox.len(), 2);
        timeout(SOON, outbox.close(MS)).await.expect("it ends");
    }
}

/// Panics when it is woken.
struct Alarm;

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        panic!("a bug in a waker");
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_where_the_oldest_is_dropped_costs_no_count() {
    let outbox = drops_oldest(2).in_memory();
    let peer = Peer::that(REFUSED);
    let service = super::with(&peer, &outbox);
    for number in 0..2 {
        call(&service, message(number)).await.unwrap_err();
    }
    let waker = Waker::from(Arc::new(Alarm));
    let mut letter = pin!(outbox.next_dead_letter());
    let first = letter.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(first.is_pending());
    let error = call(&service, message(2)).await.unwrap_err();
    assert!(error.is_deferred(), "{error}");
    assert_eq!(letter.await.request().number, 0);
    assert_eq!(outbox.len(), 2);
    peer.now_does(Does::Answer);
    timeout(SOON, outbox.flush()).await.expect("all is counted");
    assert!(
        timeout(SOON, outbox.close(SECOND))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_when_a_message_leaves_costs_no_count() {
    let limits = Limits::new().requests(1);
    let builder = Outbox::builder().limits(limits).when_full(WhenFull::Wait);
    let outbox = builder.in_memory();
    let peer = Peer::that(REFUSED);
    let service = super::with(&peer, &outbox);
    let mut receipts = outbox.receipts();
    call(&service, message(0)).await.unwrap_err();
    let waker = Waker::from(Arc::new(Alarm));
    let mut waits = pin!(call(&service, message(1)));
    let first = waits.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(first.is_pending(), "there is no room");
    peer.now_does(Does::AnswerAfter(MS));
    timeout(SOON, outbox.flush()).await.expect("all is counted");
    assert!(waits.await.unwrap_err().is_deferred());
    let delivered = [(0, Outcome::Delivered), (1, Outcome::Delivered)];
    assert_eq!(super::outcomes(&mut receipts), delivered);
    assert_eq!(peer.attempts(), [0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn wakers_that_panic_one_after_the_other_leave_the_outbox_its_worker() {
    let limits = Limits::new().requests(2);
    let builder = Outbox::builder().limits(limits).when_full(WhenFull::Wait);
    let outbox = builder.in_memory();
    let peer = Peer::that(REFUSED);
    let service = super::with(&peer, &outbox);
    for number in 0..2 {
        call(&service, message(number)).await.unwrap_err();
    }
    let waker = Waker::from(Arc::new(Alarm));
    let mut waiting: Vec<_> = (2..8)
        .map(|number| Box::pin(call(&service, message(number))))
        .collect();
    for waits in &mut waiting {
        let first = waits.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(first.is_pending(), "there is no room");
    }
    peer.now_does(Does::Answer);
    peer.forget_attempts();
    timeout(SOON, outbox.flush()).await.expect("it goes on");
    assert_eq!(peer.attempts(), (0..8).collect::<Vec<_>>());
}
