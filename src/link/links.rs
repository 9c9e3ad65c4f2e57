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
    ///
    /// A link is down until a call gets through: where nothing waits there is no probe, and it stays
    /// so, whatever the peer does, until the next call. Nor does the channel tell that such a link
    /// was [forgotten](Self::status) before somebody asks. Of an outbox, `waiting` counts the
    /// deliveries that are under way; its `len` counts all.
    pub fn subscribe(&self) -> watch::Receiver<LinksSummary> {
        self.table.subscribe()
    }

    /// Something says that the network is back: probes every down link now that has requests waiting, and
    /// if that fails, again from the first step of the backoff. A link without any has its next call
    /// as the probe, at once. What a peer said about the [next probe](ConnError::retry_after) is
    /// ignored. However often it is called, there are at least 10 ms between two probes of a link. A
    /// probe in flight goes on.
    pub fn wake(&self) {
        self.table.wake();
    }

    /// [Wakes](Self::wake) the links whenever the system says that the network has changed in a way
    /// that can help: an interface has its link again (its Wi-Fi is in range, its cable is plugged in),
    /// or there is a new address (a lease, a laptop that woke up) or a new route. What went away
    /// wakes nobody.
    ///
    /// Nothing is spawned here: the future that is returned does the work while it is polled. Changes
    /// from now on count, even before it is.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use tower::{ServiceBuilder, service_fn};
    /// use tower_conn_retry::RetryOnConnErr;
    ///
    /// let service = ServiceBuilder::new()
    ///     .layer(RetryOnConnErr)
    ///     .service(service_fn(|message: String| async move { Ok::<_, std::io::Error>(message) }));
    /// match service.links().wake_on_network_change() {
    ///     Ok(watch) => drop(tokio::spawn(watch)), // goes on in the background
    ///     Err(error) => eprintln!("the backoff alone decides: {error}"),
    /// }
    /// # }
    /// ```
    ///
    /// # How often
    ///
    /// The first change wakes at once. Since a route or the address of a resolver may come
    /// a moment after what was told, there is a second wake a quarter of a second later. However much the
    /// network changes, there is no more than one wake in a quarter of a second.
    ///
    /// # How long
    ///
    /// Until the future is dropped. It does not keep the links alive: it ends with `Ok` at the first change
    /// after the last service and the last `Links` of the layer are gone.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](std::io::ErrorKind::Unsupported) on systems where this can't be watched; and what the
    /// system says, if it refuses. The future ends with an error if the watch breaks later.
    ///
    /// # Systems
    ///
    /// On Linux this is one netlink socket, which a sandbox may forbid. Windows, Apple's systems and
    /// FreeBSD are watched by the crate netwatcher, for new addresses only: an interface that comes back
    /// with the address that it had all the time is not noticed there (on Windows it is), nor is a failure of
    /// the watch. Others, Android among them, are unsupported.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O enabled. The future needs its timers, too.
    #[cfg(feature = "wake")]
    #[cfg_attr(docsrs, doc(cfg(feature = "wake")))]
    pub fn wake_on_network_change(&self) -> std::io::Result<super::NetworkWatch> {
        super::NetworkWatch::new(&self.table)
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
