//! Callers of a connection that dies, while some of its calls have not heard of that.

use std::future::{Future, Ready, poll_fn, ready};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;
use tower_service::Service;

use super::callers::Cancelled;
use super::world::World;
use super::{below, check};
use crate::{ConnectError, NotSent, Reconnect};

/// The first connection takes so many calls at a time, and answers none of them before it dies.
const ROOM: usize = 2;

#[derive(Clone, Default)]
struct Network(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    connected: usize,
    dead: bool,
    in_flight: usize,
    wakers: Vec<Waker>,
    /// What the second connection was called with.
    calls: Vec<u64>,
}

impl Network {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn die(&self) {
        let mut state = self.lock();
        state.dead = true;
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Service<()> for Network {
    type Response = Connection;
    type Error = io::Error;
    type Future = Ready<io::Result<Connection>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let mut state = self.lock();
        state.connected += 1;
        ready(Ok(Connection {
            network: self.clone(),
            first: state.connected == 1,
        }))
    }
}

#[derive(Clone)]
struct Connection {
    network: Network,
    first: bool,
}

impl Service<u64> for Connection {
    type Response = ();
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.network.lock();
        if !self.first {
            return Poll::Ready(Ok(()));
        }
        if state.dead {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if state.in_flight < ROOM {
            return Poll::Ready(Ok(()));
        }
        state.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    fn call(&mut self, number: u64) -> Self::Future {
        let mut state = self.network.lock();
        if !self.first {
            state.calls.push(number);
            return Box::pin(ready(Ok(())));
        }
        state.in_flight += 1;
        drop(state);
        let fails = below(2) == 0;
        let network = self.network.clone();
        Box::pin(poll_fn(move |cx| {
            let mut state = network.lock();
            if !state.dead {
                state.wakers.push(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(match fails {
                true => Err(io::ErrorKind::ConnectionReset.into()),
                false => Ok(()),
            })
        }))
    }
}

/// One connection died, so nobody fails twice.
async fn insist(mut service: Reconnect<Network>, number: u64) {
    let Err(error) = service.call(number).await else {
        return;
    };
    // It may have died before anybody had it.
    let not_sent = error.is::<NotSent>() || error.is::<ConnectError>();
    assert!(not_sent || error.is::<io::Error>(), "{error:?}");
    service.call(number).await.expect("the second time");
}

/// Any of them may be dropped at any point. No time passes: nobody needs a timer to find out that the
/// others have heard.
#[test]
fn who_waits_until_others_have_heard_is_woken() {
    check(|world: &World| {
        let network = Network::default();
        let service = Reconnect::new(network.clone());
        let began = Instant::now();
        for number in 0..5 {
            let (call, cancel) = Cancelled::new(insist(service.clone(), number));
            if below(3) == 0 {
                world.spawn(move || cancel.now());
            }
            world.drive(async move { _ = call.await });
        }
        let dies = network.clone();
        world.spawn(move || dies.die());
        world.finish();
        assert_eq!(began.elapsed(), Duration::ZERO);
        world.drive(insist(service, 9));
        world.finish();
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert!(network.lock().connected <= 2);
    });
}

/// Where those before them have gone nobody fails, and who waits goes on in order.
#[test]
fn who_has_waited_goes_on_in_order() {
    check(|world: &World| {
        let network = Network::default();
        let mut service = Reconnect::new(network.clone());
        let began = Instant::now();
        let before: Vec<_> = (0..2)
            .map(|number| {
                let mut call = Box::pin(service.call(number));
                let cx = &mut Context::from_waker(Waker::noop());
                assert!(call.as_mut().poll(cx).is_pending());
                call
            })
            .collect();
        let mut calls = vec![service.call(2), service.call(3)];
        network.die();
        calls.extend([service.call(4), service.call(5)]);
        for call in before {
            world.spawn(move || drop(call));
        }
        for call in calls {
            world.drive(async move { call.await.expect("nobody has failed") });
        }
        world.finish();
        assert_eq!(began.elapsed(), Duration::ZERO);
        assert_eq!(network.lock().calls, [2, 3, 4, 5]);
    });
}
