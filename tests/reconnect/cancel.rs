use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::task::JoinSet;
use tower::{Service, ServiceExt, service_fn};
use tower_conn_retry::{BoxError, Reconnect};

use crate::mock::{Conn, Fault, Task, connect_fault, reconnect};

#[test]
fn the_attempt_goes_on_when_the_caller_that_began_it_is_dropped() {
    let (mut service, attempts) = reconnect();
    let mut driver = Task::new(service.call("a"));
    let mut other = Task::new(service.call("a"));
    assert!(driver.is_pending() && other.is_pending());
    let begun = attempts.next();
    drop(driver);
    begun.send(Ok(Conn::new(1))).ok().unwrap();
    assert!(other.is_woken());
    assert_eq!(other.answer(), 1);
    assert_eq!(attempts.len(), 0);
}

#[test]
fn a_caller_that_is_dropped_after_it_was_woken_takes_no_wake_up_along() {
    let (mut service, attempts) = reconnect();
    let mut driver = Task::new(service.call("a"));
    let mut other = Task::new(service.call("a"));
    assert!(driver.is_pending() && other.is_pending());
    attempts.next().send(Ok(Conn::new(1))).ok().unwrap();
    assert!(driver.is_woken());
    drop(driver);
    assert!(other.is_woken());
    assert_eq!(other.answer(), 1);
}

#[test]
fn an_attempt_without_callers_is_kept_for_the_next() {
    let (mut service, attempts) = reconnect();
    let mut first = Task::new(service.call("a"));
    assert!(first.is_pending());
    drop(first);
    let mut second = Task::new(service.call("a"));
    assert!(second.is_pending());
    attempts.next().send(Ok(Conn::new(1))).ok().unwrap();
    assert!(second.is_woken());
    assert_eq!(second.answer(), 1);
    assert_eq!(attempts.len(), 0);
}

#[test]
fn an_attempt_that_failed_with_nobody_there_is_not_the_next_callers_error() {
    let (mut service, attempts) = reconnect();
    let mut first = Task::new(service.call("a"));
    assert!(first.is_pending());
    drop(first);
    attempts.next().send(Err(Fault("stale"))).ok().unwrap();

    let mut second = Task::new(service.call("a"));
    assert!(second.is_pending());
    attempts.next().send(Err(Fault("fresh"))).ok().unwrap();
    assert_eq!(connect_fault(&second.error()), Fault("fresh"));
}

#[test]
fn a_panic_while_connecting_is_one_callers_panic() {
    let (mut service, attempts) = reconnect();
    let mut a = Task::new(service.call("a"));
    let mut b = Task::new(service.call("a"));
    assert!(a.is_pending() && b.is_pending());
    drop(attempts.next());
    assert!(catch_unwind(AssertUnwindSafe(|| a.poll())).is_err());
    drop(a);
    assert!(b.is_woken());
    assert!(b.is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert_eq!(b.answer(), 2);
}

/// As what it has of a dropped runtime does.
#[test]
fn a_panic_of_an_attempt_that_another_caller_began_is_nobodys_but_not_without_end() {
    let (mut service, attempts) = reconnect();
    let mut a = Task::new(service.call("a"));
    let mut b = Task::new(service.call("a"));
    assert!(a.is_pending() && b.is_pending());
    drop(attempts.next());
    assert!(b.is_pending());
    drop(attempts.next());
    assert!(a.is_woken() && b.is_woken());
    assert!(catch_unwind(AssertUnwindSafe(|| b.poll())).is_err());
    assert!(a.is_pending());
    attempts.next().send(Ok(Conn::new(3))).ok().unwrap();
    assert_eq!(a.answer(), 3);
    assert_eq!(attempts.len(), 0);
}

/// What is left of it panics again when it is dropped.
#[test]
fn a_panic_while_the_rest_of_a_failed_attempt_is_dropped_harms_nobody() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("panicked on purpose");
        }
    }
    let mut number = 0;
    let mut service = Reconnect::new(service_fn(move |()| {
        number += 1;
        let bomb = (number < 3).then(|| Bomb);
        poll_fn(move |_| match &bomb {
            Some(_) => panic!("panicked on purpose"),
            None => Poll::Ready(Ok::<_, Fault>(Conn::new(number))),
        })
    }));
    let mut a = Task::new(service.call("a"));
    let mut b = Task::new(service.call("a"));
    assert!(catch_unwind(AssertUnwindSafe(|| a.poll())).is_err());
    assert!(catch_unwind(AssertUnwindSafe(|| b.poll())).is_err());
    drop((a, b));
    assert_eq!(Task::new(service.call("a")).answer(), 3);
}

type Call = Pin<Box<dyn Future<Output = Result<usize, BoxError>> + Send>>;

/// Many callers on several threads, most of them dropped at some point, and a connect future that
/// wakes itself all the time: nobody hangs.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_under_load() {
    for round in 0..200_u32 {
        let maker = service_fn(move |()| async move {
            for _ in 0..round % 20 {
                tokio::task::yield_now().await;
            }
            match round % 3 {
                0 => Err(Fault("refused")),
                _ => Ok(Conn::new(1)),
            }
        });
        let service = Reconnect::new(maker);
        let mut callers = JoinSet::new();
        for n in 0..50_u32 {
            let call: Call = Box::pin(service.clone().oneshot("a"));
            callers.spawn(async move {
                let mut call = call;
                if n % 2 == 0 {
                    for _ in 0..n % 7 {
                        tokio::select! {
                            biased;
                            _ = &mut call => return,
                            () = tokio::task::yield_now() => {}
                        }
                    }
                    return;
                }
                assert_eq!(call.await.is_err(), round % 3 == 0);
            });
        }
        let all = callers.join_all();
        tokio::time::timeout(Duration::from_secs(20), all)
            .await
            .expect("somebody hangs");
    }
}

/// The worst moment for a wake-up: while one caller polls the attempt, another one looks and finds
/// it taken; then the first is dropped.
#[test]
fn a_wake_up_in_the_middle_of_a_poll_reaches_those_who_looked_in_vain() {
    type Shared = Arc<Mutex<Option<Task<Call>>>>;
    let other: Shared = Arc::default();
    let inner = Arc::clone(&other);
    let maker = service_fn(move |()| {
        let inner = Arc::clone(&inner);
        std::future::poll_fn(move |cx| match &mut *inner.lock().unwrap() {
            Some(other) => {
                cx.waker().wake_by_ref();
                assert!(other.is_pending());
                Poll::Pending::<Result<Conn, Fault>>
            }
            None => Poll::Ready(Ok(Conn::new(1))),
        })
    });
    let mut service = Reconnect::new(maker);
    let mut driver = Task::new(service.call("a"));
    *other.lock().unwrap() = Some(Task::new(Box::pin(service.call("a"))));
    assert!(driver.is_pending());
    drop(driver);
    let mut other = other.lock().unwrap().take().unwrap();
    assert!(other.is_woken());
    assert_eq!(other.answer(), 1);
}

/// The last that holds a task, and the calls that it makes.
struct Owner<F>(Mutex<F>);

impl<F: Send> Wake for Owner<F> {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_may_drop_another_caller_when_it_is_replaced() {
    let (end, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut service, attempts) = reconnect();
        let noop = &mut Context::from_waker(Waker::noop());
        let mut other = Box::pin(service.call("b"));
        assert!(other.as_mut().poll(noop).is_pending());
        let owner = Waker::from(Arc::new(Owner(Mutex::new(other))));
        let mut call = Box::pin(service.call("a"));
        let polled = call.as_mut().poll(&mut Context::from_waker(&owner));
        assert!(polled.is_pending());
        drop(owner);
        assert!(call.as_mut().poll(noop).is_pending());
        attempts.next().send(Ok(Conn::new(1))).ok().unwrap();
        let answer = call.as_mut().poll(noop);
        assert!(matches!(answer, Poll::Ready(Ok(1))), "first in line");
        end.send(()).unwrap();
    });
    ended
        .recv_timeout(Duration::from_secs(30))
        .expect("neither a deadlock nor a panic");
}
