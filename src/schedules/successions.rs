//! Callers of connections that end after each answer, as an HTTP/1.1 server may have it.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use tower_service::Service;

use super::callers::{Cancelled, Stalls};
use super::world::{Threads, World};
use super::{below, check};
use crate::http::connection::ConnectionClosed;
use crate::sync::{Mutex, MutexGuard};
use crate::{BoxError, Reconnect, Unsent};

/// Something that comes from another thread.
struct Slot<T>(Arc<Mutex<(Option<T>, Option<Waker>)>>);

impl<T> Slot<T> {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((None, None))))
    }

    fn other(&self) -> Self {
        Self(self.0.clone())
    }

    fn fill(&self, value: T) {
        let mut slot = lock(&self.0);
        slot.0 = Some(value);
        let waker = slot.1.take();
        drop(slot);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl<T> Future for Slot<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let mut slot = lock(&self.0);
        if let Some(value) = slot.0.take() {
            return Poll::Ready(value);
        }
        slot.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Of the kind that the checker knows: wakers, and whatever else is called under it, let others go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Connects in a thread of its own. The numbers that were answered are kept.
#[derive(Clone)]
struct Network {
    answered: Arc<Mutex<Vec<u64>>>,
    threads: Arc<Threads>,
}

impl Network {
    fn new(world: &World) -> Self {
        Self {
            answered: Arc::default(),
            threads: world.threads(),
        }
    }

    fn answered(&self) -> Vec<u64> {
        lock(&self.answered).clone()
    }
}

impl Service<()> for Network {
    type Response = Connection;
    type Error = Infallible;
    type Future = Slot<Result<Connection, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let slot = Slot::new();
        let connection = Connection {
            network: self.clone(),
            state: Arc::default(),
        };
        let made = slot.other();
        self.threads.spawn(move || made.fill(Ok(connection)));
        slot
    }
}

/// Answers one call, and ends in another thread. Who has called meanwhile has waited.
#[derive(Clone)]
struct Connection {
    network: Network,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    used: bool,
    waiting: Vec<(u64, Answer)>,
    closed: Option<ConnectionClosed>,
}

type Answer = Slot<Result<u64, Unsent<u64>>>;

impl Connection {
    fn end(&self) {
        let mut state = lock(&self.state);
        let closed = ConnectionClosed::well(state.waiting.len());
        state.closed = Some(closed.clone());
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        for (place, (number, answer)) in waiting.into_iter().enumerate() {
            answer.fill(Err(Unsent::new(number, closed.for_waiting(place))));
        }
    }
}

impl Service<u64> for Connection {
    type Response = u64;
    type Error = Unsent<u64>;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Unsent<u64>>> {
        match &lock(&self.state).closed {
            None => Poll::Ready(Ok(())),
            Some(closed) => Poll::Ready(Err(Unsent::new(u64::MAX, closed.clone()))),
        }
    }

    fn call(&mut self, number: u64) -> Answer {
        let answer = Slot::new();
        let mut state = lock(&self.state);
        if let Some(closed) = &state.closed {
            answer.fill(Err(Unsent::new(number, closed.for_late())));
        } else if std::mem::replace(&mut state.used, true) {
            state.waiting.push((number, answer.other()));
        } else {
            lock(&self.network.answered).push(number);
            answer.fill(Ok(number));
            let connection = self.clone();
            self.network.threads.spawn(move || connection.end());
        }
        answer
    }
}

async fn answered(call: impl Future<Output = Result<u64, BoxError>>, number: u64) {
    assert_eq!(call.await.unwrap(), number);
}

#[test]
fn all_are_answered_in_the_order_of_the_calls() {
    check(|world| {
        let network = Network::new(world);
        let mut service = Reconnect::new(network.clone());
        let began = Instant::now();
        for number in 0..4 {
            let call = service.call(number);
            world.drive(answered(call, number));
        }
        world.finish();
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(network.answered(), [0, 1, 2, 3]);
    });
}

/// Callers who leave, or are not polled any more, at any point.
#[test]
fn who_leaves_or_stalls_holds_up_nobody() {
    check(|world| {
        let network = Network::new(world);
        let mut service = Reconnect::new(network.clone());
        let began = Instant::now();
        let stalled = Arc::<Mutex<Vec<_>>>::default();
        for number in 0..5 {
            let call = answered(service.call(number), number);
            match below(3) {
                0 => {
                    let (call, cancel) = Cancelled::new(call);
                    world.spawn(move || cancel.now());
                    world.drive(async move { _ = call.await });
                }
                1 => {
                    let (call, stalled) = (Stalls::new(call, below(4)), stalled.clone());
                    world.drive(async move {
                        let rest = call.await;
                        lock(&stalled).extend(rest);
                    });
                }
                _ => world.drive(call),
            }
        }
        world.finish();
        assert!(began.elapsed() <= Duration::from_millis(200));
        let stalled = std::mem::take(&mut *lock(&stalled));
        drop(stalled);
        let call = service.call(5);
        world.drive(answered(call, 5));
        world.finish();
        // The others are in order, or have let a stalled one go.
        assert_eq!(network.answered().last(), Some(&5));
    });
}
