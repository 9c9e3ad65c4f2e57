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
    let calls = burst(&service, 0..3);
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

#[tokio::test(start_paused = true)]
async fn a_link_that_is_forgotten_while_it_is_down_is_told_of() {
    #[derive(Default, Clone)]
    struct Forgotten(Arc<Mutex<Vec<String>>>);

    impl Observer for Forgotten {
        fn link_forgotten(&self, destination: &Destination) {
            self.0.lock().unwrap().push(destination.to_string());
        }
    }

    let forgotten = Forgotten::default();
    let peer = Peer::that(REFUSED);
    // A pair is an observer too.
    let service = peer.behind(steady().observer((Log::default(), forgotten.clone())));
    let once = Message {
        idempotent: false,
        ..message(1)
    };
    call(&service, once).await.unwrap_err();
    pass(700 * SECOND).await;
    service.links().status();
    assert_eq!(*forgotten.0.lock().unwrap(), ["the peer"]);
}

/// A store that fails, an outage that ends, and a call that fails.
#[cfg(any(feature = "tracing", feature = "metrics"))]
async fn story(observer: impl Observer) {
    observer.store_failed(&std::io::Error::other("no room left"));
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady().observer(observer).max_attempts(2));
    let held = send(&service, message(1));
    settle().await;
    peer.now_does(Does::Answer);
    held.await.unwrap().unwrap();
    peer.now_does(RESET);
    call(&service, message(2)).await.unwrap_err();
}

#[cfg(feature = "tracing")]
#[tokio::test(start_paused = true)]
async fn tracing_writes_spans_and_events() {
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .with_ansi(false)
        .without_time()
        .finish();
    let _guard = tracing_subscriber::util::SubscriberInitExt::set_default(subscriber);
    story(tower_conn_retry::TracingObserver::new()).await;
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let ours = text
        .lines()
        .map(str::trim)
        .filter(|line| line.contains("tower_conn_retry"));
    let peer = "destination=the peer";
    let outage = "outage{destination=the peer}: ";
    assert_eq!(
        ours.collect::<Vec<_>>(),
        [
            "WARN tower_conn_retry: store failed error=no room left".into(),
            format!(
                "DEBUG tower_conn_retry: attempt failed {peer} kind=\"refused\" sent=\"maybe\" \
                 outlook=\"transient\" attempts=1"
            ),
            format!("WARN {outage}tower_conn_retry: link down {peer} kind=\"refused\""),
            format!("DEBUG {outage}tower_conn_retry: held {peer}"),
            format!("DEBUG {outage}tower_conn_retry: probe {peer}"),
            format!("DEBUG {outage}tower_conn_retry: replay {peer} attempt=2"),
            format!("INFO {outage}tower_conn_retry: link up {peer} outage_seconds=0.1"),
            format!("DEBUG tower_conn_retry: recovered {peer} attempts=2 elapsed_seconds=0.1"),
            format!(
                "DEBUG tower_conn_retry: attempt failed {peer} kind=\"reset\" sent=\"maybe\" \
                 outlook=\"transient\" attempts=1"
            ),
            format!("DEBUG tower_conn_retry: replay {peer} attempt=2"),
            format!(
                "DEBUG tower_conn_retry: attempt failed {peer} kind=\"reset\" sent=\"maybe\" \
                 outlook=\"transient\" attempts=2"
            ),
            format!("WARN {outage}tower_conn_retry: link down {peer} kind=\"reset\""),
            format!(
                "WARN {outage}tower_conn_retry: failed {peer} reason=\"attempts_exhausted\" \
                 attempts=2 elapsed_seconds=0.0"
            ),
        ]
    );
}

#[cfg(feature = "metrics")]
#[test]
fn metrics_count() {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};

    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    let observer = tower_conn_retry::MetricsObserver::new().by_destination();
    metrics::with_local_recorder(&recorder, || runtime.block_on(story(observer)));
    let mut found: Vec<_> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let labels = key
                .key()
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()));
            let value = match value {
                DebugValue::Counter(n) => n.to_string(),
                DebugValue::Gauge(n) => n.to_string(),
                DebugValue::Histogram(all) => format!("{all:?}"),
            };
            format!(
                "{} {} {value}",
                key.key().name(),
                labels.collect::<Vec<_>>().join(",")
            )
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [
            "conn_retry_attempts_failed_total destination=the peer,kind=refused 1",
            "conn_retry_attempts_failed_total destination=the peer,kind=reset 2",
            "conn_retry_failed_total destination=the peer,reason=attempts_exhausted 1",
            "conn_retry_held_total destination=the peer 1",
            "conn_retry_links_down destination=the peer 1",
            "conn_retry_outage_seconds destination=the peer [0.1]",
            "conn_retry_probes_total destination=the peer 1",
            "conn_retry_recovered_seconds destination=the peer [0.1]",
            "conn_retry_replays_total destination=the peer 2",
            "conn_retry_store_failed_total  1",
        ]
    );
}
