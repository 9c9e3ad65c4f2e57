//! A peer whose behaviour is a function, and a client service for it that enforces the readiness
//! contract of tower: it panics unless the very clone that is called was polled ready.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::{
    ConnErrorKind, ConnRetry, Destination, Error, Limits, Replayable, RetryOnConnErr, WhenFull,
};

/// What happens to an attempt.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    Answer,
    Fail(io::ErrorKind),
    /// An error that is not about the connection.
    Refuse,
    Hang,
    /// Answers, or fails, after this time.
    AnswerAfter(Duration),
    FailAfter(Duration, io::ErrorKind),
    /// Answers after so many times 10 ms, each of which wakes its caller.
    AnswerInSteps(u32),
}

pub const REFUSED: Does = Does::Fail(io::ErrorKind::ConnectionRefused);
pub const RESET: Does = Does::Fail(io::ErrorKind::ConnectionReset);

/// A numbered message to a named destination; the empty name is the one peer.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub to: &'static str,
    pub number: u64,
    pub idempotent: bool,
}

pub fn message(number: u64) -> Message {
    Message {
        to: "",
        number,
        idempotent: true,
    }
}

impl Replayable for Message {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    fn destination(&self) -> Destination {
        match self.to {
            "" => Destination::default(),
            name => Destination::new(name),
        }
    }

    fn size_hint(&self) -> usize {
        100
    }
}

struct State {
    behaves: Box<dyn FnMut(&Message) -> Does + Send>,
    /// Whether `poll_ready` fails.
    unready: Option<io::ErrorKind>,
    attempts: Vec<(Instant, u64)>,
    in_flight: usize,
    most_in_flight: usize,
    clones: usize,
}

#[derive(Clone)]
pub struct Peer(Arc<Mutex<State>>);

impl Peer {
    pub fn new(behaves: impl FnMut(&Message) -> Does + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(State {
            behaves: Box::new(behaves),
            unready: None,
            attempts: Vec::new(),
            in_flight: 0,
            most_in_flight: 0,
            clones: 0,
        })))
    }

    pub fn that(does: Does) -> Self {
        Self::new(move |_| does)
    }

    pub fn now_does(&self, does: Does) {
        self.now(move |_| does);
    }

    pub fn now(&self, behaves: impl FnMut(&Message) -> Does + Send + 'static) {
        self.state().behaves = Box::new(behaves);
    }

    /// A behaviour may panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn is_unready(&self, kind: Option<io::ErrorKind>) {
        self.state().unready = kind;
    }

    /// The numbers of the messages, an entry for each attempt.
    pub fn attempts(&self) -> Vec<u64> {
        self.0
            .lock()
            .unwrap()
            .attempts
            .iter()
            .map(|(_, number)| *number)
            .collect()
    }

    /// When the attempts were made.
    pub fn times(&self) -> Vec<Instant> {
        self.0
            .lock()
            .unwrap()
            .attempts
            .iter()
            .map(|(at, _)| *at)
            .collect()
    }

    pub fn forget_attempts(&self) {
        let mut state = self.state();
        state.attempts.clear();
        state.most_in_flight = state.in_flight;
        state.clones = 0;
    }

    pub fn most_in_flight(&self) -> usize {
        self.state().most_in_flight
    }

    pub fn clones(&self) -> usize {
        self.state().clones
    }

    pub fn client(&self) -> Client {
        Client {
            peer: self.clone(),
            ready: false,
        }
    }

    /// The client in the layer.
    pub fn behind<P, R>(&self, layer: RetryOnConnErr<P, R>) -> ConnRetry<Client, P, R> {
        layer.layer(self.client())
    }
}

pub struct Client {
    peer: Peer,
    ready: bool,
}

impl Clone for Client {
    fn clone(&self) -> Self {
        self.peer.state().clones += 1;
        Self {
            peer: self.peer.clone(),
            ready: false,
        }
    }
}

impl Service<Message> for Client {
    type Response = u64;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<u64>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(kind) = self.peer.state().unready {
            return Poll::Ready(Err(kind.into()));
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, message: Message) -> Self::Future {
        assert!(
            std::mem::take(&mut self.ready),
            "this clone was not polled ready"
        );
        let does = {
            let mut state = self.peer.state();
            state.attempts.push((Instant::now(), message.number));
            state.in_flight += 1;
            state.most_in_flight = state.most_in_flight.max(state.in_flight);
            (state.behaves)(&message)
        };
        let flight = Flight(self.peer.clone());
        Box::pin(async move {
            let _flight = flight;
            match does {
                Does::Answer => {}
                Does::Fail(kind) => return Err(kind.into()),
                Does::Refuse => return Err(io::ErrorKind::InvalidData.into()),
                Does::Hang => std::future::pending().await,
                Does::AnswerAfter(time) => sleep(time).await,
                Does::AnswerInSteps(steps) => {
                    for _ in 0..steps {
                        sleep(10 * MS).await;
                    }
                }
                Does::FailAfter(time, kind) => {
                    sleep(time).await;
                    return Err(kind.into());
                }
            }
            Ok(message.number)
        })
    }
}

struct Flight(Peer);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.state().in_flight -= 1;
    }
}

pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// A layer whose probes come every 100 ms.
pub fn steady() -> RetryOnConnErr {
    RetryOnConnErr::new().backoff(|| std::iter::repeat(100 * MS))
}

/// The same, with so many places, for which callers wait.
pub fn waits(places: usize) -> RetryOnConnErr {
    let limits = Limits::new().requests(places);
    steady().limits(limits).when_full(WhenFull::Wait)
}

/// A caller that is a task of its own. Tasks begin in the order in which they were made.
pub fn send<S>(service: &S, message: Message) -> JoinHandle<Result<u64, Error>>
where
    S: Service<Message, Response = u64, Error = Error> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    tokio::spawn(service.clone().oneshot(message))
}

/// A caller for each of these numbers.
pub fn burst<S>(service: &S, numbers: std::ops::Range<u64>) -> Vec<JoinHandle<Result<u64, Error>>>
where
    S: Service<Message, Response = u64, Error = Error> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    numbers
        .map(|number| send(service, message(number)))
        .collect()
}

/// Calls at once.
pub fn call<S>(service: &S, message: Message) -> S::Future
where
    S: Service<Message, Response = u64, Error = Error> + Clone,
{
    let mut service = service.clone();
    let ready = futures_util::FutureExt::now_or_never(service.ready());
    let ready = ready.expect("ready at once");
    ready.expect("ready").call(message)
}

/// Lets virtual time pass, with everything that happens in it.
pub async fn pass(time: Duration) {
    sleep(time).await;
}

/// Lets everything happen that can happen now.
pub async fn settle() {
    sleep(Duration::from_nanos(1)).await;
}

pub fn kind_of(error: &Error) -> Option<ConnErrorKind> {
    error.conn_error().map(|error| error.kind())
}
