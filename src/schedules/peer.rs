use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use super::below;
use crate::{Destination, Replayable};

/// Where callers stall, attempts that are older than this may be in flight beside another.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(1);

/// A numbered message to one of several peers.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) to: usize,
    pub(super) number: u64,
}

impl Replayable for Message {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn destination(&self) -> Destination {
        Destination::new(format!("peer {}", self.to))
    }

    fn size_hint(&self) -> usize {
        10
    }
}

/// Some peers that are away at first. Each attempt stays in flight for a while, in which anything can
/// happen.
#[derive(Clone)]
pub(super) struct Peers(Arc<Mutex<Vec<Peer>>>);

#[derive(Default)]
struct Peer {
    /// Attempts that will fail.
    failures: u64,
    /// Calls are made that may not have heard that it is away.
    crowd: bool,
    first: HashSet<u64>,
    /// When the attempts that are in flight and should be alone began.
    in_flight: HashMap<u64, Instant>,
    back: bool,
    /// The replays of those that were answered.
    answered: Vec<u64>,
}

impl Peers {
    /// These peers, each of which fails so many attempts.
    pub(super) fn new(failures: impl IntoIterator<Item = u64>) -> Self {
        let peer = |failures| Peer {
            failures,
            ..Peer::default()
        };
        Self(Arc::new(Mutex::new(
            failures.into_iter().map(peer).collect(),
        )))
    }

    /// Calls are made that may not have heard that the peers are away.
    pub(super) fn expect_crowd(&self) {
        self.lock().iter_mut().for_each(|peer| peer.crowd = true);
    }

    /// In the order in which they were let go after the peer was back.
    pub(super) fn answered(&self, to: usize) -> Vec<u64> {
        self.lock()[to].answered.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Peer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl tower_service::Service<Message> for Peers {
    type Response = u64;
    type Error = io::Error;
    type Future = Attempt;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, message: Message) -> Attempt {
        let rest = below(3);
        let mut peers = self.lock();
        let peer = &mut peers[message.to];
        // The calls that have a number of zero are those that take the link down.
        let replay = !peer.first.insert(message.number) || !peer.crowd && message.number > 0;
        let fails = peer.failures > 0;
        peer.failures = peer.failures.saturating_sub(1);
        if replay {
            let mut others = peer.in_flight.values();
            let abandoned = others.all(|began| began.elapsed() >= ATTEMPT_TIMEOUT);
            assert!(peer.back || abandoned, "one probe at a time");
            peer.in_flight.insert(message.number, Instant::now());
        }
        if !fails {
            peer.answered.push(message.number);
        }
        drop(peers);
        Attempt {
            peers: self.clone(),
            message,
            fails,
            replay,
            rest,
        }
    }
}

pub(super) struct Attempt {
    peers: Peers,
    message: Message,
    fails: bool,
    replay: bool,
    rest: u64,
}

impl Future for Attempt {
    type Output = io::Result<u64>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.rest > 0 {
            self.rest -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.fails {
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        self.peers.lock()[self.message.to].back = true;
        Poll::Ready(Ok(self.message.number))
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.replay {
            self.peers.lock()[self.message.to]
                .in_flight
                .remove(&self.message.number);
        }
    }
}
