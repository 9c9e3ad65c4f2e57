//! Messages of any size to many destinations, and a store that counts what it has to do.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tower::{Layer, Service, service_fn};
use tower_conn_retry::outbox::{Changes, Contents, MemoryStore, Message as Stored, Store, Ticket};
use tower_conn_retry::{
    BoxError, Destination, Error, Limits, Outbox, OutboxBuilder, Reason, Replayable, WhenFull,
};

use crate::peer::{SECOND, steady};

#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub to: u64,
    pub number: u64,
    pub size: usize,
}

pub fn item(to: u64, number: u64) -> Item {
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
pub struct Work {
    pub reads: Arc<AtomicUsize>,
    pub commits: Arc<AtomicUsize>,
}

impl Work {
    pub fn take(&self) -> (usize, usize) {
        let take = |of: &AtomicUsize| of.swap(0, Ordering::Relaxed);
        (take(&self.reads), take(&self.commits))
    }
}

/// Counts what it has to do.
pub struct Counted {
    pub inner: MemoryStore<Item>,
    pub work: Work,
    /// It blocks: each commit waits for a word.
    pub gate: Option<mpsc::Receiver<()>>,
}

impl Counted {
    pub fn new() -> (Self, Work) {
        let work = Work::default();
        let counted = Self {
            inner: MemoryStore::new(),
            work: work.clone(),
            gate: None,
        };
        (counted, work)
    }

    /// Of a former process.
    pub fn with_leftovers(items: impl Iterator<Item = Item>) -> (Self, Work) {
        let (mut counted, work) = Self::new();
        let put = items.map(|request| Stored {
            ticket: Ticket::new(request.number),
            destination: request.destination(),
            size: request.size,
            request,
            since: Duration::ZERO,
            attempts: 0,
            maybe_sent: false,
            max_age: None,
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
pub struct Switch {
    pub answers: Arc<AtomicBool>,
    pub hangs: Arc<AtomicBool>,
}

pub type Client = tower::util::BoxCloneService<Item, (), Error>;

pub fn client(outbox: &Outbox<Item>) -> (Client, Switch) {
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

pub fn builder(limits: Limits) -> OutboxBuilder<Item> {
    let builder: OutboxBuilder<Item> = Outbox::builder();
    builder.limits(limits).when_full(WhenFull::DropOldest)
}

pub async fn fails(client: &mut Client, item: Item) -> Reason {
    client.call(item).await.unwrap_err().reason()
}

pub fn dead(outbox: &Outbox<Item>) -> Vec<u64> {
    let dead = outbox.dead_letters().into_iter();
    dead.map(|letter| letter.request().number).collect()
}
