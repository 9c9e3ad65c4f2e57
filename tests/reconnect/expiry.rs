//! `max_age` and `idle_timeout`, in virtual time.

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{advance, sleep};
use tower::{Service, service_fn};
use tower_conn_retry::{BoxError, Reconnect};

use crate::mock::{Conn, Fault, Task, reconnect};

/// A service whose connections are numbered.
fn numbered() -> Reconnect<impl Service<(), Response = Conn, Error = Fault>> {
    let mut made = 0;
    Reconnect::new(service_fn(move |()| {
        made += 1;
        ready(Ok(Conn::new(made)))
    }))
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn without_limits_a_connection_is_handed_out_for_ever() {
    let mut service = numbered();
    for _ in 0..3 {
        assert_eq!(service.call("a").await.unwrap(), 1);
        advance(Duration::from_secs(1_000_000)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_too_old_is_replaced_however_busy() {
    let mut service = numbered().max_age(10 * SECOND);
    for n in 0..40 {
        assert_eq!(service.call("a").await.unwrap(), 1 + n / 10, "after {n} s");
        advance(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_idle_for_too_long_is_replaced() {
    let mut service = numbered().idle_timeout(10 * SECOND);
    for (pause, number) in [(0, 1), (9, 1), (9, 1), (10, 2), (9, 2), (1_000, 3)] {
        advance(pause * SECOND).await;
        assert_eq!(service.call("a").await.unwrap(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn both_limits_hold_together() {
    let mut service = numbered().idle_timeout(3 * SECOND).max_age(5 * SECOND);
    for (pause, number) in [(0, 1), (2, 1), (2, 1), (1, 2), (3, 3), (2, 3)] {
        advance(pause * SECOND).await;
        assert_eq!(service.call("a").await.unwrap(), number);
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_zero_makes_a_connection_for_each_call() {
    for mut service in [
        numbered().max_age(Duration::ZERO),
        numbered().idle_timeout(Duration::ZERO),
    ] {
        for number in 1..5 {
            assert_eq!(service.call("a").await.unwrap(), number);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_of_all_time_is_none() {
    let mut service = numbered()
        .max_age(Duration::MAX)
        .idle_timeout(Duration::MAX);
    for _ in 0..3 {
        assert_eq!(service.call("a").await.unwrap(), 1);
        advance(Duration::from_secs(1_000_000)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_for_all_clones() {
    let service = numbered();
    let mut clone = service.clone();
    let _limited = service.max_age(SECOND);
    assert_eq!(clone.call("a").await.unwrap(), 1);
    advance(SECOND).await;
    assert_eq!(clone.call("a").await.unwrap(), 2);
}

#[test]
fn many_callers_that_find_it_too_old_make_one_new_connection() {
    let (service, attempts) = reconnect();
    let mut service = service.max_age(Duration::ZERO);
    let mut first = Task::new(service.call("first"));
    assert!(first.is_pending());
    attempts.next().send(Ok(Conn::new(1))).ok().unwrap();
    first.answer();

    let mut calls: Vec<_> = (0..10).map(|_| Task::new(service.call("a"))).collect();
    for call in &mut calls {
        assert!(call.is_pending());
    }
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    for call in &mut calls {
        assert_eq!(call.answer(), 2);
    }
    assert_eq!(attempts.len(), 0);
}

/// A connection whose answers come when the test says so, and that tells when all handles are gone.
#[derive(Clone)]
struct Slow {
    number: usize,
    _handle: Arc<()>,
}

impl Service<oneshot::Receiver<()>> for Slow {
    type Response = usize;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<usize, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, answer: oneshot::Receiver<()>) -> Self::Future {
        let number = self.number;
        Box::pin(async move {
            answer.await?;
            Ok(number)
        })
    }
}

type Handles = Arc<Mutex<Vec<Weak<()>>>>;

/// A service with slow connections, and the handles to see when they go.
fn slow() -> (
    Reconnect<impl Service<(), Response = Slow, Error = Fault, Future: Send> + Send>,
    Handles,
) {
    let handles: Handles = Arc::default();
    let made = Arc::clone(&handles);
    let service = Reconnect::new(service_fn(move |()| {
        let handle = Arc::default();
        let mut made = made.lock().unwrap();
        made.push(Arc::downgrade(&handle));
        ready(Ok(Slow {
            number: made.len(),
            _handle: handle,
        }))
    }));
    (service, handles)
}

/// A request that is answered at once.
fn at_once() -> oneshot::Receiver<()> {
    let (answer, begun) = oneshot::channel();
    answer.send(()).unwrap();
    begun
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_on_the_old_connection_finish_undisturbed() {
    let (service, handles) = slow();
    let mut service = service.max_age(SECOND);
    let (answer, begun) = oneshot::channel();
    let mut old = Task::new(service.call(begun));
    assert!(old.is_pending());
    advance(SECOND).await;

    assert_eq!(service.call(at_once()).await.unwrap(), 2);
    // It is not kept beside its successor.
    assert_eq!(handles.lock().unwrap()[0].strong_count(), 0);

    answer.send(()).unwrap();
    assert!(old.is_woken());
    assert_eq!(old.answer(), 1);
    assert!(service.is_connected());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_owes_an_answer_is_not_idle() {
    let (service, _handles) = slow();
    let mut service = service.idle_timeout(10 * SECOND);
    let (answer, begun) = oneshot::channel();
    let slow = tokio::spawn(service.call(begun));
    sleep(60 * SECOND).await;

    assert_eq!(service.call(at_once()).await.unwrap(), 1);
    sleep(60 * SECOND).await;
    answer.send(()).unwrap();
    assert_eq!(slow.await.unwrap().unwrap(), 1);
    // The time counts from the answer.
    sleep(9 * SECOND).await;
    assert_eq!(service.call(at_once()).await.unwrap(), 1);
    sleep(10 * SECOND).await;
    assert_eq!(service.call(at_once()).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_comes_long_after_the_connection_it_waited_for_gets_none_that_is_too_old() {
    let mut made = 0;
    let service = service_fn(move |()| {
        made += 1;
        let conn = Conn::new(made);
        async move {
            sleep(SECOND).await;
            Ok::<_, Fault>(conn)
        }
    });
    let mut service = Reconnect::new(service).idle_timeout(10 * SECOND);
    let mut stalled = Box::pin(service.call("stalled"));
    let waits = std::future::poll_fn(|cx| Poll::Ready(stalled.as_mut().poll(cx).is_pending()));
    assert!(waits.await);
    assert_eq!(service.call("a").await.unwrap(), 1);
    advance(60 * SECOND).await;
    assert_eq!(stalled.await.unwrap(), 2);
}
