use std::time::Duration;

use tower::Service;

use crate::mock::{Conn, Fault, Task, connect_fault, reconnect};

#[test]
fn nothing_happens_before_the_first_call_is_polled() {
    let (mut service, attempts) = reconnect();
    let call = service.call("a");
    assert_eq!(attempts.len(), 0);
    drop(call);
}

#[test]
fn one_attempt_for_many_callers_and_all_are_woken_and_answered() {
    let (mut service, attempts) = reconnect();
    let mut calls: Vec<_> = (0..100)
        .map(|_| Task::new(service.clone().call("a")))
        .collect();
    for call in &mut calls {
        assert!(call.is_pending());
    }
    let begun = attempts.next();
    assert_eq!(attempts.len(), 0);
    assert!(!service.is_connected());

    begun.send(Ok(Conn::new(1))).ok().unwrap();
    for call in &mut calls {
        assert!(call.is_woken());
        assert_eq!(call.answer(), 1);
    }
    assert!(service.is_connected());
    assert_eq!(Task::new(service.call("a")).answer(), 1);
    assert_eq!(attempts.len(), 0);
}

#[test]
fn whoever_waited_for_a_failed_attempt_gets_its_error_and_the_next_call_begins_anew() {
    let (mut service, attempts) = reconnect();
    let mut calls: Vec<_> = (0..10).map(|_| Task::new(service.call("a"))).collect();
    for call in &mut calls {
        assert!(call.is_pending());
    }
    attempts.next().send(Err(Fault("refused"))).ok().unwrap();

    let mut calls = calls.into_iter();
    let mut first = calls.next().unwrap();
    assert_eq!(connect_fault(&first.error()), Fault("refused"));
    // A new attempt is begun, and even succeeds, before the others look.
    let mut later = Task::new(service.call("a"));
    assert!(later.is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert_eq!(later.answer(), 2);
    for mut call in calls {
        assert!(call.is_woken());
        assert_eq!(connect_fault(&call.error()), Fault("refused"));
    }
    assert_eq!(attempts.len(), 0);
}

#[tokio::test]
async fn callers_that_waited_go_before_new_ones() {
    let (mut service, attempts) = reconnect();
    let mut a = Task::new(service.call("a"));
    let mut b = Task::new(service.call("b"));
    assert!(a.is_pending() && b.is_pending());
    let conn = Conn::new(1);
    attempts.next().send(Ok(conn.clone())).ok().unwrap();
    a.answer();
    // b has not been polled yet.
    let mut c = Task::new(service.call("c"));
    assert!(c.is_pending());
    b.answer();
    assert!(c.is_woken());
    c.answer();
    assert_eq!(*conn.calls.lock().unwrap(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_not_polled_any_more_holds_up_nobody() {
    let (mut service, attempts) = reconnect();
    let mut stalled = Task::new(service.call("stalled"));
    assert!(stalled.is_pending());
    let mut other = Task::new(service.call("a"));
    assert!(other.is_pending());
    attempts.next().send(Ok(Conn::new(1))).ok().unwrap();
    // Gives way for a while, then goes.
    assert!(other.is_pending());
    tokio::time::sleep(Duration::from_millis(21)).await;
    assert!(other.is_woken());
    assert_eq!(other.answer(), 1);
    assert_eq!(stalled.answer(), 1);
}
