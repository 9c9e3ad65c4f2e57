use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::Table;
use crate::{ConnError, Destination};

/// A view of all links of a layer. Cheap to clone; it outlives the service.
///
/// ```
/// # tokio_test();
/// # fn tokio_test() {
/// use tower::{ServiceBuilder, service_fn};
/// use tower_conn_retry::RetryOnConnErr;
///
/// let service = ServiceBuilder::new()
///     .layer(RetryOnConnErr)
///     .service(service_fn(|message: String| async move { Ok::<_, std::io::Error>(message) }));
/// let links = service.links();
/// for link in links.status() {
///     println!("{}: up {}, {} waiting", link.destination(), link.is_up(), link.waiting());
/// }
/// links.wake(); // the network is back, the system says
/// # }
/// ```
#[derive(Clone)]
pub struct Links {
    table: Arc<Table>,
}

impl Links {
    pub(crate) fn new(table: Arc<Table>) -> Self {
        Self { table }
    }

    /// The links that are, or were a moment ago, in trouble, in no particular order. A destination
    /// that is not listed is up; it is forgotten 10 s or more after its last connection error. One
    /// that is down and that nobody calls any more is forgotten after 10 min, or sooner if there
    /// are more than 1,000.
    pub fn status(&self) -> Vec<LinkStatus> {
        self.table.read(|state, now| {
            let links = state.links.iter();
            links
                .map(|(destination, entry)| LinkStatus {
                    destination: destination.clone(),
                    is_up: entry.link.is_up(),
                    since: now.saturating_sub(entry.link.since()),
                    waiting: entry.link.held(),
                    waiting_bytes: entry.link.held_bytes(),
                    attempts: entry.link.attempts(),
                    last_error: entry.last.as_ref().map(|last| last.conn_error),
                    next_probe: entry.link.probe_at().map(|at| at.saturating_sub(now)),
                })
                .collect()
        })
    }

    /// How many links are down and how many requests are held, as a channel that tells of changes.
    pub fn subscribe(&self) -> watch::Receiver<LinksSummary> {
        self.table.subscribe()
    }

    /// Something says that the network is back: probes every down link now, and if that fails,
    /// again from the first step of the backoff.
    pub fn wake(&self) {
        self.table.wake();
    }
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Links")
            .field(&*self.subscribe().borrow())
            .finish()
    }
}

/// The state of one link, as it was when it was asked for.
#[derive(Debug, Clone)]
pub struct LinkStatus {
    destination: Destination,
    is_up: bool,
    since: Duration,
    waiting: usize,
    waiting_bytes: usize,
    attempts: u32,
    last_error: Option<ConnError>,
    next_probe: Option<Duration>,
}

impl LinkStatus {
    /// Where it goes to.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Whether it is up. It is as soon as a probe got through, even while its backlog drains.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// For how long it has been up or down.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// How many requests it holds, those with an attempt in flight included.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// The bytes that these hold, by [`Replayable::size_hint`](crate::Replayable::size_hint).
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    /// The probes of the present outage, or of the last one if it is up.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Its last connection error.
    pub fn last_error(&self) -> Option<ConnError> {
        self.last_error
    }

    /// The time until the next probe. `None` while the link is up or the probe is in flight; zero
    /// if the probe is due as soon as there is a request for it.
    pub fn next_probe(&self) -> Option<Duration> {
        self.next_probe
    }
}

/// All links of a layer in two numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinksSummary {
    down: usize,
    waiting: usize,
}

impl LinksSummary {
    /// How many links are down.
    pub fn down(&self) -> usize {
        self.down
    }

    /// How many requests are held, those with an attempt in flight and those that wait for a place
    /// included.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Whether that is news.
    pub(super) fn update(&mut self, down: usize, waiting: usize) -> bool {
        let former = std::mem::replace(self, Self { down, waiting });
        *self != former
    }
}
