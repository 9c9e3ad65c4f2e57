use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{Service, service_fn};
use tower_conn_retry::{BoxError, ConnectError, NotSent, Reconnect, Unsent};

use crate::mock::{Attempts, Conn, Fault, Maker, Task, connect_fault, reconnect};

/// A service with a connection.
fn connected(conn: Conn) -> (Reconnect<Maker>, Attempts) {
    let (mut service, attempts) = reconnect();
    let mut call = Task::new(service.call("first"));
    assert!(call.is_pending());
    attempts.next().send(Ok(conn)).ok().unwrap();
    call.answer();
    (service, attempts)
}

#[test]
fn poll_ready_is_always_ready() {
    let (mut service, attempts) = reconnect();
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
    let mut call = Task::new(service.call("a"));
    assert!(call.is_pending());
    attempts.next().send(Err(Fault("refused"))).ok().unwrap();
    call.error();
    assert!(matches!(service.poll_ready(&mut cx), Poll::Ready(Ok(()))));
}

#[test]
fn a_dead_connection_is_replaced_within_the_call() {
    let conn = Conn::new(1);
    let (mut service, attempts) = connected(conn.clone());
    conn.die();
    let mut call = Task::new(service.call("a"));
    assert!(call.is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert_eq!(call.answer(), 2);
    // Never handed out again, even if it recovers.
    assert_eq!(Task::new(service.call("a")).answer(), 2);
    assert_eq!(*conn.calls.lock().unwrap(), ["first"]);
}

#[test]
fn a_connection_that_dies_while_a_caller_waits_for_it_is_replaced() {
    let conn = Conn::new(1);
    let (mut service, attempts) = connected(conn.clone());
    conn.set_busy(true);
    let mut call = Task::new(service.call("a"));
    assert!(call.is_pending());
    conn.die();
    conn.set_busy(false);
    assert!(call.is_woken());
    assert!(call.is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert_eq!(call.answer(), 2);
}

#[test]
fn a_connection_that_is_dead_from_the_start_is_the_calls_error() {
    let (mut service, attempts) = reconnect();
    let mut call = Task::new(service.call("a"));
    assert!(call.is_pending());
    attempts.next().send(Ok(Conn::new(1).dead())).ok().unwrap();
    let error = call.error();
    assert_eq!(handed_back(&error), Some("a"));
    let source = error.downcast::<NotSent>().unwrap().into_source();
    assert_eq!(*source.downcast::<Fault>().unwrap(), Fault("dead"));
    assert!(!service.is_connected());
    assert_eq!(attempts.len(), 0);
}

/// Each who waited gets the request back that was theirs, once.
#[test]
fn a_failed_connect_hands_the_requests_back() {
    let (mut service, attempts) = reconnect();
    let mut calls = ["a", "b"].map(|name| (name, Task::new(service.call(name))));
    calls
        .iter_mut()
        .for_each(|(_, call)| assert!(call.is_pending()));
    attempts.next().send(Err(Fault("refused"))).ok().unwrap();
    for (name, call) in &mut calls {
        let error = call.error();
        assert_eq!(Unsent::<String>::find(&*error), None); // another type
        assert_eq!(handed_back(&error), Some(*name));
        assert_eq!(handed_back(&error), None);
    }
}

fn handed_back(error: &BoxError) -> Option<&'static str> {
    Unsent::find(&**error)
}

#[test]
fn a_connection_that_is_not_ready_makes_only_the_call_wait() {
    let conn = Conn::new(1);
    let (mut service, _attempts) = connected(conn.clone());
    conn.set_busy(true);
    let mut call = Task::new(service.call("a"));
    assert!(call.is_pending());
    conn.set_busy(false);
    assert!(call.is_woken());
    assert_eq!(call.answer(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_not_polled_loses_its_place_on_a_busy_connection() {
    let conn = Conn::new(1);
    let (mut service, _attempts) = connected(conn.clone());
    conn.set_busy(true);
    let mut stalled = Task::new(service.call("stalled"));
    assert!(stalled.is_pending());
    conn.set_busy(false);
    let mut call = Task::new(service.call("a"));
    assert!(call.is_pending());
    tokio::time::sleep(Duration::from_millis(21)).await;
    assert!(call.is_woken());
    assert_eq!(call.answer(), 1);
    // It holds up nobody any more, and is served when it comes back.
    assert_eq!(Task::new(service.call("b")).answer(), 1);
    assert_eq!(stalled.answer(), 1);
    assert_eq!(*conn.calls.lock().unwrap(), ["first", "a", "b", "stalled"]);
}

#[test]
fn an_error_that_is_not_about_the_connection_keeps_it() {
    let (mut service, attempts) = connected(Conn::new(1));
    let error = Task::new(service.call("fail")).error();
    assert_eq!(*error.downcast::<Fault>().unwrap(), Fault("failed"));
    assert_eq!(Task::new(service.call("a")).answer(), 1);
    assert_eq!(attempts.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_late_failure_on_an_old_connection_does_not_touch_its_successor() {
    let old = Conn::new(1);
    let (mut service, attempts) = connected(old.clone());
    // Waits for the readiness of the old connection.
    old.set_busy(true);
    let mut late = Task::new(service.call("late"));
    assert!(late.is_pending());
    old.die();
    // This one would go past it, so it waits; but the late one does not keep the others waiting for long.
    let mut call = Task::new(service.call("a"));
    assert!(call.is_pending());
    assert_eq!(attempts.len(), 0);
    tokio::time::sleep(Duration::from_millis(21)).await;
    assert!(call.is_woken());
    assert!(call.is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert_eq!(call.answer(), 2);

    // Now it hears of the end of the old one.
    assert_eq!(late.answer(), 2);
    assert!(service.is_connected());
    assert_eq!(attempts.len(), 0);
}

#[test]
fn a_request_is_handed_over_in_call_when_the_connection_is_ready() {
    let conn = Conn::new(1);
    let (mut service, _attempts) = connected(conn.clone());
    let calls = (service.call("a"), service.call("b"));
    assert_eq!(*conn.calls.lock().unwrap(), ["first", "a", "b"]);
    drop(calls);
}

#[tokio::test]
async fn a_target_is_given_to_every_attempt() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let maker = service_fn(move |target: &'static str| {
        record.lock().unwrap().push(target);
        std::future::ready(Err::<Conn, _>(Fault("refused")))
    });
    let mut service = Reconnect::to(maker, "there");
    service.call("a").await.unwrap_err();
    service.call("a").await.unwrap_err();
    assert_eq!(*seen.lock().unwrap(), ["there", "there"]);
}

/// A maker that is not ready, then fails in `poll_ready`, then works.
#[test]
fn an_error_of_the_makers_poll_ready_belongs_to_the_call() {
    struct Moody(Vec<Poll<Result<(), Fault>>>);
    impl Service<()> for Moody {
        type Response = Conn;
        type Error = Fault;
        type Future = std::future::Ready<Result<Conn, Fault>>;
        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
            let next = self.0.pop().unwrap();
            if next.is_pending() {
                cx.waker().wake_by_ref();
            }
            next
        }
        fn call(&mut self, _: ()) -> Self::Future {
            std::future::ready(Ok(Conn::new(1)))
        }
    }
    let script = vec![
        Poll::Ready(Ok(())),
        Poll::Ready(Err(Fault("moody"))),
        Poll::Pending,
    ];
    let mut service = Reconnect::new(Moody(script));
    let mut call = Task::new(service.call("a"));
    assert!(call.is_pending());
    assert!(call.is_woken());
    assert_eq!(connect_fault(&call.error()), Fault("moody"));
    assert_eq!(Task::new(service.call("a")).answer(), 1);
}

#[test]
fn the_types_are_send_and_sync_when_their_parts_are() {
    fn check<T: Send + Sync + Clone>() {}
    fn check_future<T: Send + Unpin>(_: T) {}
    check::<Reconnect<Maker>>();
    check_future(reconnect().0.call("a"));
    fn check_error<T: std::error::Error + Send + Sync + 'static>() {}
    check_error::<ConnectError>();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_answered_does_not_hold_up_the_next_connection() {
    let conn = Conn::new(1);
    let (mut service, attempts) = connected(conn.clone());
    let mut answered = Task::new(service.call("a"));
    assert_eq!(answered.answer(), 1);
    conn.die();
    // The future of the answered call is still there, but nothing is in flight.
    let mut call = Task::new(service.call("b"));
    assert!(call.is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert_eq!(call.answer(), 2);
    drop(answered);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dead_from_the_start_is_the_error_of_all_who_waited_for_it() {
    let (mut service, attempts) = reconnect();
    let mut calls: Vec<_> = (0..5).map(|_| Task::new(service.call("a"))).collect();
    for call in &mut calls {
        assert!(call.is_pending());
    }
    attempts.next().send(Ok(Conn::new(1).dead())).ok().unwrap();
    for call in &mut calls {
        assert!(call.is_woken());
        call.error();
    }
    assert_eq!(attempts.len(), 0, "no other attempt was begun");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_costs_the_others_the_patience_once() {
    let (mut service, attempts) = reconnect();
    let never = service.call("never");
    let mut first = Task::new(service.call("a"));
    assert!(first.is_pending());
    attempts.next().send(Ok(Conn::new(1))).ok().unwrap();
    assert!(first.is_pending());
    tokio::time::sleep(Duration::from_millis(21)).await;
    assert_eq!(first.answer(), 1);
    for _ in 0..10 {
        assert_eq!(Task::new(service.call("a")).answer(), 1);
    }
    assert_eq!(Task::new(never).answer(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_has_not_heard_of_a_dead_connection_holds_nobody_off_the_next_one() {
    let (mut service, attempts) = reconnect();
    let mut calls: Vec<_> = (0..4).map(|_| Task::new(service.call("hang"))).collect();
    // The first one waits for an answer on a connection that dies.
    let conn = Conn::new(1);
    assert!(calls[0].is_pending());
    attempts.next().send(Ok(conn.clone())).ok().unwrap();
    assert!(calls[0].is_pending());
    conn.die();
    // The second one finds that out and waits for it, and the others go on to a new connection.
    assert!(calls[1].is_pending());
    assert_eq!(attempts.len(), 0);
    assert!(calls[2].is_pending() && calls[3].is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert!(calls[2].is_pending(), "hangs in its call");
    // The last one is still in line, so this one joins it.
    let mut late = Task::new(service.call("late"));
    assert!(late.is_pending(), "not failed for a connection of the past");
    drop(calls);
    assert_eq!(late.answer(), 2);
}
