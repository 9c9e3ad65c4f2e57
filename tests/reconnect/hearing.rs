//! A connection that died while some of its calls have not heard of that yet.

use std::time::Duration;

use tokio::time::sleep;
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::reconnect::ResponseFuture;
use tower_conn_retry::{
    ConnError, ConnErrorKind, ConnRetry, DefaultPolicy, Error, NotSent, Reconnect, RetryOnConnErr,
    Unsent,
};

use crate::mock::{Attempts, Conn, Fault, Maker, Task, reconnect};

/// For how long at most somebody waits for those who have not heard.
const HEARING: Duration = Duration::from_millis(20);
const MOMENT: Duration = Duration::from_millis(1);

type Call = Task<ResponseFuture<Maker, (), &'static str>>;

/// A dead connection, on which one call waits for its answer and others for room.
fn busy<const N: usize>(
    first: &'static str,
    others: [&'static str; N],
) -> (Reconnect<Maker>, Attempts, Call, [Call; N]) {
    let (mut service, attempts) = reconnect();
    let mut first = Task::new(service.call(first));
    let conn = Conn::new(1);
    assert!(first.is_pending());
    attempts.next().send(Ok(conn.clone())).ok().unwrap();
    assert!(first.is_pending());
    conn.set_busy(true);
    let mut others = others.map(|name| Task::new(service.call(name)));
    for other in &mut others {
        assert!(other.is_pending());
    }
    conn.die();
    (service, attempts, first, others)
}

/// Under the layer, where two attempts are all.
struct Robot {
    service: ConnRetry<Reconnect<Maker>, DefaultPolicy>,
    attempts: Attempts,
}

impl Robot {
    fn new() -> Self {
        let (reconnect, attempts) = reconnect();
        let closed = |_: &Fault| Some(ConnError::new(ConnErrorKind::Closed));
        let layer = RetryOnConnErr::new()
            .policy(DefaultPolicy::new().recognize(closed))
            .max_attempts(2);
        let service = layer.layer(reconnect);
        Self { service, attempts }
    }

    async fn call(
        &mut self,
        request: &'static str,
    ) -> Task<impl Future<Output = Result<usize, Error>> + use<>> {
        Task::new(self.service.ready().await.unwrap().call(request))
    }

    fn connects(&self, number: usize) -> Conn {
        let conn = Conn::new(number);
        self.attempts.next().send(Ok(conn.clone())).ok().unwrap();
        conn
    }

    #[track_caller]
    fn assert_up(&self) {
        let status = self.service.links().status();
        assert!(status.iter().all(|link| link.is_up()), "{status:?}");
    }
}

/// The older one hears and is replayed; the other one comes after it, and neither has a third attempt.
#[tokio::test(start_paused = true)]
async fn one_connection_that_died_is_no_outage() {
    let mut robot = Robot::new();
    let mut older = robot.call("break").await;
    assert!(older.is_pending());
    let conn = robot.connects(1);
    assert!(older.is_pending());
    conn.set_busy(true);
    let mut waits = robot.call("b").await;
    assert!(waits.is_pending());

    conn.die();
    conn.set_busy(false);
    assert!(waits.is_woken());
    assert!(waits.is_pending());
    robot.assert_up();
    assert!(!waits.is_woken());
    assert!(older.is_pending(), "connects");
    assert!(waits.is_woken());
    assert!(waits.is_pending(), "connects");
    let next = robot.connects(2);
    assert!(older.is_pending());
    assert_eq!(waits.poll().map(Result::unwrap), std::task::Poll::Ready(2));
    assert_eq!(*next.calls.lock().unwrap(), ["break", "b"]);
    robot.assert_up();
}

/// The older one is never polled: it does not hold up the other one for long.
#[tokio::test(start_paused = true)]
async fn who_never_hears_is_no_outage_either() {
    let mut robot = Robot::new();
    let mut older = robot.call("break").await;
    assert!(older.is_pending());
    let conn = robot.connects(1);
    assert!(older.is_pending());
    conn.die();
    let mut new = robot.call("a").await;
    assert!(new.is_pending());
    sleep(HEARING - MOMENT).await;
    assert!(!new.is_woken());
    sleep(2 * MOMENT).await;
    assert!(new.is_woken());
    assert!(new.is_pending(), "connects");
    robot.assert_up();
    robot.connects(2);
    assert_eq!(new.poll().map(Result::unwrap), std::task::Poll::Ready(2));
    robot.assert_up();
    assert!(older.is_pending(), "is replayed");
}

/// Who replays at once, while others have not heard yet, is not told again of what it knows.
#[tokio::test(start_paused = true)]
async fn the_replay_of_who_has_heard_is_not_refused() {
    let mut robot = Robot::new();
    let mut older = [robot.call("break").await, robot.call("break").await];
    assert!(older[0].is_pending());
    let conn = robot.connects(1);
    older.iter_mut().for_each(|call| assert!(call.is_pending()));
    conn.die();
    let mut new = robot.call("a").await;
    assert!(new.is_pending());
    assert!(!new.is_woken());
    assert!(older[0].is_pending(), "connects");
    assert!(new.is_woken());
    assert!(new.is_pending(), "connects");
    robot.assert_up();
    let next = robot.connects(2);
    assert!(older[0].is_pending());
    assert_eq!(new.poll().map(Result::unwrap), std::task::Poll::Ready(2));
    assert!(older[1].is_pending());
    assert_eq!(*next.calls.lock().unwrap(), ["break", "a", "break"]);
    robot.assert_up();
}

/// Nobody has failed, so nobody fails. They go on in the order of their calls, whoever is polled first.
#[tokio::test(start_paused = true)]
async fn when_the_older_one_is_dropped_all_go_on_in_order() {
    let (mut service, attempts, older, waiting) = busy("hang", ["a", "b", "c"]);
    let new = Task::new(service.call("d"));
    let mut calls: Vec<_> = waiting.into_iter().collect();
    let mut new = [new];
    assert!(new[0].is_pending());
    calls
        .iter_mut()
        .rev()
        .for_each(|call| assert!(call.is_pending()));
    assert_eq!(attempts.len(), 0);
    assert!(!calls[0].is_woken());
    drop(older);
    assert!(calls[0].is_woken());
    assert!(new[0].is_pending());
    for call in calls.iter_mut().rev() {
        assert!(call.is_pending());
    }
    // One after the other, each woken by the one before it.
    for call in &mut calls {
        if call.is_woken() {
            assert!(call.is_pending());
        }
    }
    assert!(new[0].is_woken());
    assert!(new[0].is_pending());
    assert_eq!(attempts.len(), 1);
    let next = Conn::new(2);
    attempts.next().send(Ok(next.clone())).ok().unwrap();
    for call in &mut calls {
        assert!(call.is_woken());
        assert_eq!(call.answer(), 2);
    }
    assert_eq!(new[0].answer(), 2);
    assert_eq!(*next.calls.lock().unwrap(), ["a", "b", "c", "d"]);
}

/// The first of those who wait may be dropped, too.
#[tokio::test(start_paused = true)]
async fn who_waits_for_one_that_waits_is_woken_when_that_one_is_dropped() {
    let (mut service, attempts, older, [mut first]) = busy("hang", ["a"]);
    let mut second = Task::new(service.call("b"));
    assert!(first.is_pending());
    assert!(second.is_pending());
    drop(older);
    assert!(second.is_woken());
    assert!(second.is_pending());
    assert!(!second.is_woken());
    drop(first);
    assert!(second.is_woken());
    assert!(second.is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert_eq!(second.answer(), 2);
}

/// All fail once, with their requests; what is called then finds nobody to wait for.
#[tokio::test(start_paused = true)]
async fn when_the_older_one_has_failed_all_fail_once() {
    let (mut service, attempts, mut older, mut waiting) = busy("break", ["a", "b"]);
    for call in &mut waiting {
        assert!(call.is_pending());
    }
    assert_eq!(*older.error().downcast::<Fault>().unwrap(), Fault("reset"));
    for (call, name) in waiting.iter_mut().zip(["a", "b"]) {
        assert!(call.is_woken());
        let error = call.error();
        assert!(error.is::<NotSent>(), "{error:?}");
        assert_eq!(Unsent::find(&*error), Some(name));
    }
    assert_eq!(attempts.len(), 0);
    let mut replay = Task::new(service.call("a"));
    assert!(replay.is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert_eq!(replay.answer(), 2);
}

/// However many wait, for whomever: it is `HEARING` in all.
#[tokio::test(start_paused = true)]
async fn who_does_not_hear_and_who_does_not_come_hold_up_the_others_once() {
    let (mut service, attempts, older, stalled) = busy("hang", ["a", "b"]);
    let mut third = Task::new(service.call("c"));
    assert!(third.is_pending());
    sleep(HEARING / 2).await;
    drop(older);
    assert!(third.is_woken());
    assert!(
        third.is_pending(),
        "those two have heard, and were not polled"
    );
    sleep(HEARING / 2 + MOMENT).await;
    assert!(third.is_woken());
    assert!(third.is_pending());
    attempts.next().send(Ok(Conn::new(2))).ok().unwrap();
    assert_eq!(third.answer(), 2);
    for mut call in stalled {
        assert_eq!(call.answer(), 2);
    }
}
