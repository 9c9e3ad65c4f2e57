//! What has to make room are the oldest that wait, and finding them costs little.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use futures_util::poll;
use tokio::time::timeout;
use tower::{Layer, Service, service_fn};
use tower_conn_retry::outbox::{Changes, Contents, MemoryStore, Message as Stored, Store, Ticket};
use tower_conn_retry::{
    BoxError, Destination, Error, Limits, Outbox, OutboxBuilder, Outcome, Reason, Replayable,
    WhenFull,
};

use super::outcomes;
use crate::peer::{MS, SECOND, pass, settle, steady};

const SOON: Duration = Duration::from_secs(20);

#[derive(Clone, Debug, PartialEq)]
struct Item {
    to: u64,
    number: u64,
    size: usize,
}

fn item(to: u64, number: u64) -> Item {
    let size = 1;
    Item { to, number, size }
}

impl Replayable for Item {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn destination(&self) -> Destination {
        Destination::new(self.to.to_string())
    }

    fn size_hint(&self) -> usize {
        self.size
    }
}

#[derive(Clone, Default)]
struct Work {
    reads: Arc<AtomicUsize>,
    commits: Arc<AtomicUsize>,
}

impl Work {
    fn take(&self) -> (usize, usize) {
        let take = |of: &AtomicUsize| of.swap(0, Ordering::Relaxed);
        (take(&self.reads), take(&self.commits))
    }
}

/// Counts what it has to do.
struct Counted {
    inner: MemoryStore<Item>,
    work: Work,
    /// It blocks: each commit waits for a word.
    gate: Option<mpsc::Receiver<()>>,
}

impl Counted {
    fn new() -> (Self, Work) {
        let work = Work::default();
        let counted = Self {
            inner: MemoryStore::new(),
            work: work.clone(),
            gate: None,
        };
        (counted, work)
    }

    /// Of a former process.
    fn with_leftovers(items: impl Iterator<Item = Item>) -> (Self, Work) {
        let (mut counted, work) = Self::new();
        let put = items.map(|request| Stored {
            ticket: Ticket::new(request.number),
            destination: request.destination(),
            size: request.size,
            request,
            since: Duration::ZERO,
            attempts: 0,
            maybe_sent: false,
        });
        let changes = Changes {
            put: put.collect(),
            remove: Vec::new(),
            clock: Duration::ZERO,
        };
        counted.inner.commit(changes).unwrap();
        (counted, work)
    }
}

impl Store<Item> for Counted {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.inner.contents()
    }

    fn commit(&mut self, changes: Changes<Item>) -> Result<(), BoxError> {
        if let Some(gate) = &self.gate {
            gate.recv()?;
        }
        self.work.commits.fetch_add(1, Ordering::Relaxed);
        self.inner.commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Item>, BoxError>),
    ) -> Result<(), BoxError> {
        let mut shown = 0;
        self.inner
            .read(destination, after, most, &mut |ticket, item| {
                shown += 1;
                show(ticket, item);
            })?;
        self.work.reads.fetch_add(1 + shown, Ordering::Relaxed);
        Ok(())
    }

    fn is_in_memory(&self) -> bool {
        self.gate.is_none()
    }
}

/// Nobody answers, or all do, or all hang until then.
#[derive(Clone, Default)]
struct Switch {
    answers: Arc<AtomicBool>,
    hangs: Arc<AtomicBool>,
}

type Client = tower::util::BoxCloneService<Item, (), Error>;

fn client(outbox: &Outbox<Item>) -> (Client, Switch) {
    let switch = Switch::default();
    let Switch { answers, hangs } = switch.clone();
    let peer = service_fn(move |_: Item| {
        let (answers, hangs) = (answers.clone(), hangs.clone());
        async move {
            if hangs.load(Ordering::Relaxed) {
                tokio::time::sleep(30 * SECOND).await;
            }
            match answers.load(Ordering::Relaxed) {
                true => Ok(()),
                false => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
            }
        }
    });
    let service = steady().outbox(outbox.clone()).layer(peer);
    (Client::new(service), switch)
}

fn builder(limits: Limits) -> OutboxBuilder<Item> {
    let builder: OutboxBuilder<Item> = Outbox::builder();
    builder.limits(limits).when_full(WhenFull::DropOldest)
}

async fn fails(client: &mut Client, item: Item) -> Reason {
    client.call(item).await.unwrap_err().reason()
}

fn dead(outbox: &Outbox<Item>) -> Vec<u64> {
    let dead = outbox.dead_letters().into_iter();
    dead.map(|letter| letter.request().number).collect()
}

#[tokio::test(start_paused = true)]
async fn a_large_one_that_displaces_many_costs_a_little_for_each() {
    const MANY: usize = 1_000;
    let (store, work) = Counted::new();
    let outbox = builder(Limits::new().bytes(MANY)).store(store).unwrap();
    let (mut client, _) = client(&outbox);
    for number in 0..MANY as u64 {
        fails(&mut client, item(number % 3, number)).await;
    }
    settle().await;
    work.take();
    let large = Item {
        size: MANY,
        ..item(9, MANY as u64)
    };
    assert_eq!(fails(&mut client, large).await, Reason::Deferred);
    let (reads, commits) = work.take();
    assert!(reads <= 6 * MANY, "{reads} reads");
    assert_eq!(commits, 2, "one puts it, one removes all others");
    assert_eq!(outbox.len(), 1);
    assert_eq!(dead(&outbox), (0..MANY as u64).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn how_many_destinations_there_are_costs_nothing() {
    const MANY: u64 = 300;
    let (store, work) = Counted::new();
    let limits = Limits::new().requests(MANY as usize);
    let outbox = builder(limits).store(store).unwrap();
    let (mut client, _) = client(&outbox);
    for number in 0..MANY {
        fails(&mut client, item(number, number)).await;
    }
    settle().await;
    work.take();
    for number in MANY..MANY + 10 {
        let reason = fails(&mut client, item(number % MANY, number)).await;
        assert_eq!(reason, Reason::Deferred);
    }
    let (reads, _) = work.take();
    assert!(reads <= 10 * 6, "{reads} reads");
    assert_eq!(dead(&outbox), (0..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn what_a_former_process_left_beyond_the_limits_goes_in_one_pass() {
    let leftovers = (0..1_000).map(|number| item(number % 7, number));
    let (store, work) = Counted::with_leftovers(leftovers);
    let limits = Limits::new().requests(100);
    let outbox = builder(limits).store(store).unwrap();
    let mut receipts = outbox.receipts();
    let (mut client, switch) = client(&outbox);
    assert_eq!(fails(&mut client, item(1, 1_000)).await, Reason::Deferred);
    let (reads, commits) = work.take();
    assert!(reads <= 6 * 900 + 100, "{reads} reads");
    assert_eq!((outbox.len(), commits), (100, 2));
    let dropped = (0..901).map(|ticket| (ticket, Outcome::Dropped));
    assert_eq!(outcomes(&mut receipts), dropped.collect::<Vec<_>>());
    switch.answers.store(true, Ordering::Relaxed);
    timeout(SOON, outbox.flush()).await.expect("the others go");
    let mut tickets: Vec<_> = outcomes(&mut receipts).into_iter().collect();
    tickets.sort_unstable_by_key(|it| it.0);
    let delivered = (901..1_001).map(|ticket| (ticket, Outcome::Delivered));
    assert_eq!(tickets, delivered.collect::<Vec<_>>());
}

/// Beside a queue that pops its first.
#[tokio::test(start_paused = true)]
async fn it_is_always_the_oldest_that_goes() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let left = random.u64(0..30);
        let mut model = BTreeMap::new();
        let mut items = Vec::new();
        for number in 0..left {
            let size = random.usize(1..9);
            items.push(Item {
                size,
                ..item(random.u64(0..5), number)
            });
            model.insert(number, size);
        }
        let (store, _) = Counted::with_leftovers(items.into_iter());
        let limits = Limits::new().requests(10).bytes(40);
        let outbox = builder(limits).store(store).unwrap();
        let mut receipts = outbox.receipts();
        let (mut client, switch) = client(&outbox);
        for number in left..200 {
            let size = random.usize(1..30);
            let one = Item {
                size,
                ..item(random.u64(0..5), number)
            };
            assert_eq!(fails(&mut client, one).await, Reason::Deferred);
            model.insert(number, size);
            let mut dropped = Vec::new();
            while model.len() > 10 || model.values().sum::<usize>() > 40 {
                let first = model.pop_first().unwrap().0;
                dropped.push((first, Outcome::Dropped));
            }
            assert_eq!(outcomes(&mut receipts), dropped, "{seed} {number}");
            assert_eq!(outbox.len(), model.len());
            assert_eq!(outbox.bytes(), model.values().sum::<usize>());
            if random.u8(..20) == 0 {
                // All start, and fail.
                pass(250 * MS).await;
            }
            if random.u8(..50) == 0 {
                switch.answers.store(true, Ordering::Relaxed);
                timeout(SOON, outbox.flush()).await.expect("all go");
                switch.answers.store(false, Ordering::Relaxed);
                model.clear();
                outcomes(&mut receipts);
                // Until then calls would be answered, or fail in their own attempts.
                let again = fails(&mut client, item(0, number)).await;
                assert_eq!(again, Reason::Deferred);
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_told_that_nothing_can_make_room_for_it() {
    let outbox = builder(Limits::new().requests(1)).in_memory();
    let mut receipts = outbox.receipts();
    let (mut client, switch) = client(&outbox);
    assert_eq!(fails(&mut client, item(0, 0)).await, Reason::Deferred);
    switch.hangs.store(true, Ordering::Relaxed);
    switch.answers.store(true, Ordering::Relaxed);
    pass(SECOND).await; // the probe is in flight
    assert_eq!(fails(&mut client, item(0, 1)).await, Reason::QueueFull);
    assert_eq!((outbox.len(), outbox.bytes()), (1, 1));
    assert!(dead(&outbox).is_empty(), "its caller has it");
    assert_eq!(outcomes(&mut receipts), []);
    timeout(60 * SECOND, outbox.flush()).await.expect("it goes");
    assert_eq!(outcomes(&mut receipts), [(0, Outcome::Delivered)]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_dropped_for_one_that_has_no_room_then() {
    let outbox = builder(Limits::new().bytes(100)).in_memory();
    let (mut client, switch) = client(&outbox);
    let first = Item {
        size: 60,
        ..item(0, 0)
    };
    fails(&mut client, first).await;
    switch.hangs.store(true, Ordering::Relaxed);
    pass(SECOND).await; // the probe is in flight
    for number in 1..10 {
        fails(&mut client, item(0, number)).await;
    }
    let large = Item {
        size: 50,
        ..item(0, 10)
    };
    assert_eq!(fails(&mut client, large).await, Reason::QueueFull);
    assert_eq!((outbox.len(), outbox.bytes()), (10, 69));
    assert!(dead(&outbox).is_empty());
}

/// An outbox for three messages, and three that are being stored, on a store that waits for a word.
fn slow() -> (Outbox<Item>, Client, Switch, mpsc::Sender<()>) {
    let (mut store, _) = Counted::new();
    let (go_on, gate) = mpsc::channel();
    store.gate = Some(gate);
    let builder = builder(Limits::new().requests(3)).survive_cancel(true);
    let outbox = builder.store(store).unwrap();
    let (client, switch) = client(&outbox);
    (outbox, client, switch, go_on)
}

#[tokio::test]
async fn callers_who_leave_a_slow_store_do_not_make_it_larger() {
    let (outbox, mut client, switch, go_on) = slow();
    let mut receipts = outbox.receipts();
    for number in 0..40 {
        let mut call = Box::pin(client.call(item(0, number)));
        while number == 0 && outbox.is_empty() {
            let _ = poll!(&mut call);
            tokio::task::yield_now().await;
        }
        drop(call);
        assert!(outbox.len() <= 3, "{}", outbox.len());
    }
    let dropped: Vec<_> = (3..40).map(|ticket| (ticket, Outcome::Dropped)).collect();
    assert_eq!(outcomes(&mut receipts), dropped);
    switch.answers.store(true, Ordering::Relaxed);
    for _ in 0..100 {
        let _ = go_on.send(());
    }
    timeout(SOON, outbox.flush()).await.expect("three go");
    assert_eq!(outcomes(&mut receipts).len(), 3);
}

#[tokio::test]
async fn callers_of_a_slow_store_wait_and_the_newest_stay() {
    let (outbox, mut client, _, go_on) = slow();
    let mut calls = Vec::new();
    for number in 0..20 {
        let mut call = Box::pin(client.call(item(0, number)));
        while number == 0 && outbox.is_empty() {
            let _ = poll!(&mut call);
            tokio::task::yield_now().await;
        }
        assert!(poll!(&mut call).is_pending());
        calls.push(call);
    }
    assert_eq!(outbox.len(), 3);
    for _ in 0..200 {
        go_on.send(()).unwrap();
    }
    for call in calls {
        let error = timeout(SOON, call).await.unwrap().unwrap_err();
        let told = [Reason::Deferred, Reason::QueueFull];
        assert!(told.contains(&error.reason()), "{error}");
        assert!(outbox.len() <= 6);
    }
    let left = timeout(SOON, outbox.close(MS)).await.unwrap();
    let left: Vec<_> = left.into_iter().map(|item| item.number).collect();
    assert_eq!(left, [17, 18, 19]);
}

#[tokio::test]
async fn those_who_come_in_wait_until_there_is_room() {
    let (outbox, client, _, go_on) = slow();
    let callers = (0..40).map(|number| {
        let mut client = client.clone();
        tokio::spawn(async move { client.call(item(0, number)).await })
    });
    let callers: Vec<_> = callers.collect();
    for _ in 0..400 {
        go_on.send(()).unwrap();
    }
    while !callers.iter().all(|caller| caller.is_finished()) {
        assert!(outbox.len() <= 6, "{}", outbox.len());
        tokio::task::yield_now().await;
    }
}
