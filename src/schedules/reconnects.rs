//! Callers of a service over one connection, which is made for them.

use std::future::{Future, Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use tower_service::Service;

use super::callers::{Cancelled, Stalls};
use super::world::{Threads, World};
use super::{below, check};
use crate::{ConnectError, NotSent, Reconnect};

/// A network that connects after a while, in a thread of its own.
#[derive(Clone)]
struct Network(Arc<Mutex<State>>, Arc<Threads>);

#[derive(Default)]
struct State {
    /// Connects that will fail.
    failures: u64,
    connecting: u32,
    connected: u64,
    /// The last connect failed, or was made, but nobody has seen it.
    unseen: bool,
    /// Connections break after so many calls.
    calls_each: u64,
    /// For each call the connection and the number.
    calls: Vec<(u64, u64)>,
}

impl Network {
    fn new(world: &World, failures: u64, calls_each: u64) -> Self {
        let state = State {
            failures,
            calls_each,
            ..State::default()
        };
        Self(Arc::new(Mutex::new(state)), world.threads())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Service<()> for Network {
    type Response = Connection;
    type Error = io::Error;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Connecting {
        let mut state = self.lock();
        state.connecting += 1;
        assert_eq!(state.connecting, 1, "one attempt at a time");
        drop(state);
        let progress = Arc::<Mutex<Progress>>::default();
        let rounds = 1 + below(2);
        Connecting {
            network: self.clone(),
            progress,
            rounds,
        }
    }
}

/// Has to be woken by the network a few times.
struct Connecting {
    network: Network,
    progress: Arc<Mutex<Progress>>,
    rounds: u64,
}

#[derive(Default)]
struct Progress {
    under_way: bool,
    rounds: u64,
    waker: Option<Waker>,
}

impl Future for Connecting {
    type Output = io::Result<Connection>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut progress = self.progress.lock().unwrap();
        if progress.rounds < self.rounds {
            progress.waker = Some(cx.waker().clone());
            let begins = !std::mem::replace(&mut progress.under_way, true);
            drop(progress);
            if begins {
                let (progress, network) = (self.progress.clone(), self.network.clone());
                let rounds = self.rounds;
                self.network.1.spawn(move || {
                    let mut progress = progress.lock().unwrap();
                    progress.rounds += 1;
                    progress.under_way = false;
                    network.lock().unseen = progress.rounds == rounds;
                    let waker = progress.waker.take();
                    drop(progress);
                    waker.into_iter().for_each(Waker::wake);
                });
            }
            return Poll::Pending;
        }
        let mut state = self.network.lock();
        state.unseen = false;
        if state.failures > 0 {
            state.failures -= 1;
            return Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into()));
        }
        state.connected += 1;
        let number = state.connected;
        drop(state);
        Poll::Ready(Ok(Connection {
            network: self.network.clone(),
            number,
            calls: Arc::default(),
        }))
    }
}

impl Drop for Connecting {
    fn drop(&mut self) {
        self.network.lock().connecting -= 1;
    }
}

#[derive(Clone)]
struct Connection {
    network: Network,
    number: u64,
    calls: Arc<Mutex<u64>>,
}

impl Service<u64> for Connection {
    type Response = u64;
    type Error = io::Error;
    type Future = Ready<io::Result<u64>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if *self.calls.lock().unwrap() >= self.network.lock().calls_each {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, number: u64) -> Self::Future {
        *self.calls.lock().unwrap() += 1;
        self.network.lock().calls.push((self.number, number));
        ready(Ok(number))
    }
}

/// Calls until the connection is made. No failure is heard of twice.
async fn insist(mut service: Reconnect<Network>, number: u64, failures: u64) {
    let mut heard = 0;
    for _ in 0..10 {
        match service.call(number).await {
            Ok(answer) => return assert_eq!(answer, number),
            Err(error) if error.is::<ConnectError>() => {
                heard += 1;
                assert!(heard <= failures, "{heard} of {failures} failures");
            }
            // It died before it was this one's turn on it.
            Err(error) => assert!(error.is::<NotSent>(), "{error:?}"),
        }
    }
    panic!("many more errors than failures");
}

fn answers(world: &World, service: &Reconnect<Network>, failures: u64) {
    world.drive(insist(service.clone(), 9, failures));
    world.finish();
}

/// Without a failure nobody hears of one, the order is kept, and no time passes.
#[test]
fn all_get_the_connection_in_order() {
    check(|world| {
        let network = Network::new(world, 0, u64::MAX);
        let mut service = Reconnect::new(network.clone());
        let began = Instant::now();
        for number in 0..5 {
            let call = service.call(number);
            world.drive(async move { assert_eq!(call.await.expect("answered"), number) });
        }
        world.finish();
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(
            network.lock().calls,
            [0, 1, 2, 3, 4].map(|number| (1, number))
        );
    });
}

/// Any caller may be dropped at any point, who polls the attempt included, and attempts may fail.
#[test]
fn dropped_callers_hold_up_nobody() {
    check(|world| {
        let failures = below(3);
        let network = Network::new(world, failures, u64::MAX);
        let service = Reconnect::new(network.clone());
        let began = Instant::now();
        for number in 0..5 {
            let (call, cancel) = Cancelled::new(insist(service.clone(), number, failures));
            if below(2) == 0 {
                world.spawn(move || cancel.now());
            }
            world.drive(async move { _ = call.await });
        }
        world.finish();
        assert_eq!(began.elapsed(), Duration::ZERO);
        answers(world, &service, failures);
    });
}

/// Connections that break between the calls.
#[test]
fn a_new_connection_is_made_when_one_is_dead() {
    check(|world| {
        let failures = below(2);
        let network = Network::new(world, failures, 1 + below(2));
        let service = Reconnect::new(network.clone());
        let began = Instant::now();
        for number in 0..5 {
            world.drive(insist(service.clone(), number, u64::MAX));
        }
        world.finish();
        assert_eq!(began.elapsed(), Duration::ZERO);
        let mut calls: Vec<_> = network.lock().calls.iter().map(|call| call.1).collect();
        calls.sort_unstable();
        assert_eq!(calls, [0, 1, 2, 3, 4], "each once");
    });
}

/// Callers who are not polled any more, at any point, and are dropped much later.
#[test]
fn stalled_callers_hold_up_nobody() {
    check(|world| {
        let failures = below(2);
        let network = Network::new(world, failures, u64::MAX);
        let service = Reconnect::new(network.clone());
        let began = Instant::now();
        let stalled = Arc::<Mutex<Vec<_>>>::default();
        for number in 0..5 {
            let polls = if below(2) == 0 { below(3) } else { u64::MAX };
            let call = Stalls::new(insist(service.clone(), number, failures), polls);
            let stalled = stalled.clone();
            world.drive(async move {
                let rest = call.await;
                stalled.lock().unwrap().extend(rest);
            });
        }
        world.finish();
        assert!(
            began.elapsed() <= Duration::from_secs(1),
            "{:?}",
            began.elapsed()
        );
        // The next one may have to wait for them, but not who comes after it.
        answers(world, &service, failures);
        let began = Instant::now();
        answers(world, &service, failures);
        assert_eq!(began.elapsed(), Duration::ZERO);
        let stalled = std::mem::take(&mut *stalled.lock().unwrap());
        drop(stalled);
        answers(world, &service, failures);
    });
}

/// If an attempt fails when all who waited for it have left, that is nobody's failure.
#[test]
fn a_failure_that_nobody_waited_for_is_not_heard() {
    check(|world| {
        let network = Network::new(world, 3, u64::MAX);
        let mut service = Reconnect::new(network.clone());
        for number in 0..3 {
            let (call, cancel) = Cancelled::new(service.call(number));
            if below(2) == 0 {
                world.spawn(move || cancel.now());
            }
            world.drive(async move { _ = call.await });
        }
        world.finish();
        let over = network.lock().unseen;
        network.lock().failures = u64::from(over);
        let call = service.call(3);
        world.drive(async move {
            let heard = call.await.is_err();
            assert!(!(over && heard));
        });
        world.finish();
    });
}
