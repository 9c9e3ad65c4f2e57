//! What is told about links and requests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower_conn_retry::{ConnError, ConnErrorKind, Destination, Links, Observer, Reason};

use super::peer::*;

#[derive(Clone, Default)]
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    links: Arc<Mutex<Option<Links>>>,
}

impl Log {
    fn note(&self, line: String) {
        // No lock is held: an observer may look at the links (rule 15).
        if let Some(links) = &*self.links.lock().unwrap() {
            links.status();
        }
        self.lines.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.lines.lock().unwrap())
    }
}

impl Observer for Log {
    fn attempt_failed(&self, _: &Destination, error: ConnError, attempts: u32) {
        self.note(format!("attempt {attempts}: {}", error.kind()));
    }

    fn held(&self, _: &Destination) {
        self.note("held".into());
    }

    fn probe(&self, _: &Destination) {
        self.note("probe".into());
    }

    fn replay(&self, _: &Destination, attempt: u32) {
        self.note(format!("replay {attempt}"));
    }

    fn link_down(&self, destination: &Destination, error: ConnError) {
        self.note(format!("{destination} down: {}", error.kind()));
    }

    fn link_up(&self, destination: &Destination, outage: Duration) {
        self.note(format!("{destination} up after {outage:?}"));
    }

    fn recovered(&self, _: &Destination, attempts: u32, elapsed: Duration) {
        self.note(format!("recovered: {attempts} in {elapsed:?}"));
    }

    fn failed(&self, _: &Destination, reason: Reason, attempts: u32, _: Duration) {
        self.note(format!("failed: {reason:?} after {attempts}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_the_story_of_an_outage() {
    let log = Log::default();
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().observer(log.clone()));
    *log.links.lock().unwrap() = Some(service.links());
    let call = send(&service, message(1));
    pass(150 * MS).await;
    peer.now_does(Does::Answer);
    call.await.unwrap().unwrap();
    assert_eq!(
        log.take(),
        [
            "attempt 1: connection refused",
            "the peer down: connection refused",
            "held",
            "probe",
            "replay 2",
            "attempt 2: connection refused",
            "probe",
            "replay 3",
            "the peer up after 200ms",
            "recovered: 3 in 200ms",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_of_failures_but_not_of_what_goes_well() {
    let log = Log::default();
    let peer = Peer::that(Does::Answer);
    let service = peer.behind(steady().max_attempts(1).observer(log.clone()));
    call(&service, message(1)).await.unwrap();
    peer.now_does(Does::Refuse);
    call(&service, message(2)).await.unwrap_err();
    assert_eq!(log.take(), [""; 0]);
    peer.now_does(RESET);
    call(&service, message(3)).await.unwrap_err();
    assert_eq!(
        log.take(),
        [
            "attempt 1: connection reset",
            "failed: AttemptsExhausted after 1"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn status_tells_all_about_a_link() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let links = service.links();
    assert!(links.status().is_empty());
    let calls: Vec<_> = (0..3)
        .map(|number| send(&service, message(number)))
        .collect();
    pass(250 * MS).await;
    let status = &links.status()[0];
    assert_eq!(status.destination(), &Destination::default());
    assert!(!status.is_up());
    assert_eq!(status.since().as_millis(), 250);
    assert_eq!((status.waiting(), status.waiting_bytes()), (3, 300));
    assert_eq!(status.attempts(), 2);
    assert_eq!(status.last_error().unwrap().kind(), ConnErrorKind::Refused);
    assert_eq!(status.next_probe().unwrap().as_millis(), 50);
    peer.now_does(Does::Answer);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    pass(SECOND).await;
    let status = &links.status()[0];
    assert!(status.is_up());
    assert_eq!(
        (
            status.since().as_secs(),
            status.waiting(),
            status.next_probe()
        ),
        (1, 0, None)
    );
}

#[tokio::test(start_paused = true)]
async fn subscribe_tells_of_changes() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let mut summary = service.links().subscribe();
    assert!(!summary.has_changed().unwrap());
    let call = send(&service, message(1));
    summary
        .wait_for(|now| (now.down(), now.waiting()) == (1, 1))
        .await
        .unwrap();
    peer.now_does(Does::Answer);
    summary
        .wait_for(|now| (now.down(), now.waiting()) == (0, 0))
        .await
        .unwrap();
    call.await.unwrap().unwrap();
}
