//! A minute without the peer, and a thousand callers: whose requests are in flight when it begins, in
//! one burst after that, and spread over the minute. In virtual time, so a run takes a moment.
//!
//! ```console
//! cargo bench --bench outage
//! ```

#![allow(missing_docs)]

use std::collections::HashSet;
use std::future::{Future, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tower::retry::Policy;
use tower::retry::backoff::{Backoff, ExponentialBackoff, ExponentialBackoffMaker, MakeBackoff};
use tower::util::{BoxCloneService, rng::HasherRng};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};
use tower_conn_retry::RetryOnConnErr;
use tower_resilience_reconnect::{ReconnectConfig, ReconnectService};

const CALLERS: u64 = 1_000;
const OUTAGE: Duration = Duration::from_secs(60);
const ROUND_TRIP: Duration = Duration::from_millis(1);
/// Who has not ended so long after the peer is back hangs.
const PATIENCE: Duration = Duration::from_secs(600);

/// The same steps for all: 100 ms, doubled up to 5 s.
const FIRST: Duration = Duration::from_millis(100);
const CAP: Duration = Duration::from_secs(5);

type Client = BoxCloneService<u64, u64, BoxError>;

/// The peer, and a client of it that connects by itself. It can be broken.
#[derive(Clone, Default)]
struct Peer(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    away: bool,
    /// Attempts that were made in the outage.
    attempts: u64,
    /// The requests that arrived afterwards.
    arrived: Vec<u64>,
}

impl Peer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Refuses at once while it is away, and breaks what is in flight when it goes.
    fn attempt<T: Send + 'static>(&self, request: Option<u64>, answer: T) -> Answer<T> {
        let mut state = self.state();
        if state.away {
            state.attempts += 1;
            return Box::pin(ready(Err(io::ErrorKind::ConnectionRefused.into())));
        }
        state.arrived.extend(request);
        drop(state);
        let peer = self.clone();
        Box::pin(async move {
            sleep(ROUND_TRIP).await;
            match peer.state().away {
                true => Err(io::ErrorKind::ConnectionReset.into()),
                false => Ok(answer),
            }
        })
    }
}

type Answer<T> = Pin<Box<dyn Future<Output = io::Result<T>> + Send>>;

impl Service<u64> for Peer {
    type Response = u64;
    type Error = io::Error;
    type Future = Answer<u64>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        self.attempt(Some(request), request)
    }
}

/// Connects to the peer, for those who want to do that themselves.
#[derive(Clone)]
struct Connect(Peer);

impl Service<()> for Connect {
    type Response = Peer;
    type Error = io::Error;
    type Future = Answer<Peer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        self.0.attempt(None, self.0.clone())
    }
}

/// A policy of `tower::retry` as one writes it.
#[derive(Clone)]
struct Attempts {
    left: Option<u32>,
    backoff: ExponentialBackoff,
}

impl Attempts {
    fn new(limit: Option<u32>) -> Self {
        let backoff = ExponentialBackoffMaker::new(FIRST, CAP, 0.5, HasherRng::new());
        Self {
            left: limit.map(|limit| limit - 1),
            backoff: backoff.expect("a backoff").make_backoff(),
        }
    }
}

impl Policy<u64, u64, io::Error> for Attempts {
    type Future = <ExponentialBackoff as Backoff>::Future;

    fn retry(&mut self, _: &mut u64, result: &mut io::Result<u64>) -> Option<Self::Future> {
        if result.is_ok() {
            return None;
        }
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        Some(self.backoff.next_backoff())
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

type Make = fn(Peer) -> Client;

/// The clients that are compared.
const CLIENTS: [(&str, Make); 4] = [
    ("tower-conn-retry", |peer| {
        let service = ServiceBuilder::new().layer(RetryOnConnErr).service(peer);
        Client::new(service.map_err(Into::into))
    }),
    ("tower::retry, 5 attempts", |peer| {
        let service = ServiceBuilder::new().retry(Attempts::new(Some(5)));
        Client::new(service.service(peer).map_err(Into::into))
    }),
    ("tower::retry, without end", |peer| {
        let service = ServiceBuilder::new().retry(Attempts::new(None));
        Client::new(service.service(peer).map_err(Into::into))
    }),
    ("tower-resilience-reconnect", |peer| {
        let config = ReconnectConfig::builder().unlimited_attempts().build();
        let service = ReconnectService::new(Connect(peer), (), config);
        Client::new(service.map_err(|error| error.to_string().into()))
    }),
];

struct Row {
    attempts: u64,
    lost: usize,
    hung: usize,
    /// Those that were answered after a later one had arrived.
    out_of_order: usize,
    /// From the peer's return to the last answer.
    recovery: Duration,
}

#[derive(Clone, Copy, PartialEq)]
enum Callers {
    InFlight,
    Burst,
    Spread,
}

/// One minute of outage.
async fn outage(client: Make, callers: Callers) -> Row {
    let peer = Peer::default();
    let mut client = client(peer.clone());
    let works = async { client.ready().await?.call(CALLERS).await };
    works.await.expect("it works at first");
    let leave = || {
        let mut state = peer.state();
        state.arrived.clear();
        state.away = true;
    };
    if callers != Callers::InFlight {
        leave();
    }

    let back = Instant::now() + OUTAGE;
    let mut calls = Vec::new();
    for number in 0..CALLERS {
        let mut client = client.clone();
        calls.push(tokio::spawn(timeout_at(back + PATIENCE, async move {
            client.ready().await?.call(number).await?;
            Ok::<_, BoxError>(Instant::now())
        })));
        if callers == Callers::Spread {
            sleep(OUTAGE / (CALLERS as u32 + 1)).await;
        }
    }
    if callers == Callers::InFlight {
        yield_now().await;
        leave();
    }
    sleep_until(back).await;
    peer.state().away = false;

    let mut row = Row {
        attempts: peer.state().attempts,
        lost: 0,
        hung: 0,
        out_of_order: 0,
        recovery: Duration::ZERO,
    };
    let mut answered = HashSet::new();
    for (number, call) in (0..).zip(calls) {
        match call.await.expect("no panic") {
            Ok(Ok(at)) => {
                row.recovery = row.recovery.max(at.saturating_duration_since(back));
                answered.insert(number);
            }
            Ok(Err(_)) => row.lost += 1,
            Err(_) => row.hung += 1,
        }
    }
    let mut last = 0;
    for number in peer
        .state()
        .arrived
        .iter()
        .filter(|number| answered.contains(number))
    {
        row.out_of_order += usize::from(*number < last);
        last = last.max(*number);
    }
    row
}

fn main() {
    println!(
        "{CALLERS} callers and {} s without the peer; times are virtual\n",
        OUTAGE.as_secs()
    );
    println!(
        "{:<28} {:>9} {:>16} {:>6} {:>6} {:>13} {:>12}",
        "", "callers", "attempts/request", "lost", "hung", "out of order", "last answer"
    );
    for (name, client) in CLIENTS {
        for (when, callers) in [
            ("in flight", Callers::InFlight),
            ("burst", Callers::Burst),
            ("spread", Callers::Spread),
        ] {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            let row = runtime.block_on(outage(client, callers));
            println!(
                "{name:<28} {when:>9} {:>16.3} {:>6} {:>6} {:>13} {:>10.3} s",
                row.attempts as f64 / CALLERS as f64,
                row.lost,
                row.hung,
                row.out_of_order,
                row.recovery.as_secs_f64()
            );
        }
    }
}
