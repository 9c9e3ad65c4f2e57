//! The requests, and the comparison of what the client was told with what the server has read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Method, Request, Response};
use tokio::sync::{Mutex, MutexGuard, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tower::{Service, ServiceExt};
use tower_conn_retry::{ConnRetry, Error, ExponentialBackoff, Reason, RetryOnConnErr, Sent};

use super::origin::Origin;

/// In all.
pub(crate) const REQUESTS: usize = 3_000;
/// The server is restarted this often meanwhile.
pub(crate) const RESTARTS: usize = 20;
/// From one restart to the next.
const CYCLE: usize = REQUESTS / RESTARTS;
/// So many of them come while the server is away.
const AWAY: usize = 20;
/// While the server is there, no more are in flight: on a slow machine a pool would open connections
/// faster than they can shake hands, and a restart would meet only those.
const IN_FLIGHT: usize = 64;

/// What a load does to the server.
pub(crate) enum Event {
    Stop,
    Start,
}

/// One call in four each: GET, PUT, POST with a key, POST without.
pub(crate) struct Call {
    method: Method,
    path: String,
    key: Option<String>,
}

impl Call {
    fn new(n: usize) -> Self {
        let (method, kind) = match n % 4 {
            0 => (Method::GET, "get"),
            1 => (Method::PUT, "put"),
            2 => (Method::POST, "keyed"),
            _ => (Method::POST, "plain"),
        };
        let key = (kind == "keyed").then(|| format!("\"key-{n}\""));
        let path = format!("/{kind}/{n}");
        Self { method, path, key }
    }

    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn request(&self, base: &str) -> Request<Full<Bytes>> {
        let request = Request::builder()
            .method(&self.method)
            .uri(format!("{base}{}", self.path));
        let request = match &self.key {
            Some(key) => request.header("Idempotency-Key", key),
            None => request,
        };
        let body = match self.method {
            Method::GET => Full::default(),
            _ => Full::from(self.path.clone()),
        };
        request.body(body).unwrap()
    }
}

/// One load at a time: they need the machine.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

type Outcome = Result<(), Error>;

/// As users have it, but quick to probe.
pub(crate) fn layer() -> RetryOnConnErr {
    let backoff = ExponentialBackoff::new().cap(Duration::from_millis(50));
    RetryOnConnErr::new().backoff(backoff)
}

/// Makes the calls, 1,000 a second if the machine can, and restarts the server meanwhile.
pub(crate) async fn run<S>(
    service: &ConnRetry<S>,
    base: &str,
    mut restart: impl AsyncFnMut(Event),
) -> Vec<(Call, Outcome)>
where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>> + Clone + Send + 'static,
    S::Error: Into<tower::BoxError>,
    S::Future: Send,
{
    let mut tick = interval(Duration::from_millis(1));
    // What is late is made up for: the rate is kept on average.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut links = service.links().subscribe();
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
    let mut calls = Vec::new();
    for n in 0..REQUESTS {
        tick.tick().await;
        match n % CYCLE {
            at if at == CYCLE - AWAY => {
                // Not before the last restart is over for everybody: whoever is met by four in a row
                // is taken for their cause.
                let drained = links.wait_for(|links| links.waiting() == 0 && links.down() == 0);
                let drained = timeout(Duration::from_secs(20), drained).await;
                let _ = drained.expect("the backlog drains").unwrap();
                restart(Event::Stop).await;
            }
            at if at == CYCLE - 1 => restart(Event::Start).await,
            _ => {}
        }
        let call = Call::new(n);
        let answer = answer(service.clone().oneshot(call.request(base)));
        let permit = if n % CYCLE < CYCLE - AWAY {
            let permit = timeout(Duration::from_secs(20), in_flight.clone().acquire_owned());
            Some(permit.await.expect("calls end").unwrap())
        } else {
            None
        };
        let answer = tokio::spawn(async move {
            let _in_flight = permit;
            answer.await
        });
        calls.push((call, answer));
    }
    let mut outcomes = Vec::new();
    for (call, answer) in calls {
        outcomes.push((call, end(answer).await));
    }
    outcomes
}

async fn answer(
    call: impl Future<Output = Result<Response<Incoming>, Error>>,
) -> Result<Outcome, String> {
    let answer = match call.await {
        Ok(answer) => answer,
        Err(error) => return Ok(Err(error)),
    };
    if answer.status() != 200 {
        return Err(format!("{}", answer.status()));
    }
    // The body may be lost: that is no business of the layer's. The request was done.
    let _ = answer.into_body().collect().await;
    Ok(Ok(()))
}

async fn end(answer: JoinHandle<Result<Outcome, String>>) -> Outcome {
    let answer = timeout(Duration::from_secs(20), answer).await;
    let answer = answer.expect("every call ends").unwrap();
    answer.unwrap_or_else(|status| panic!("answered with {status}"))
}

/// Compares. Returns how many requests the server has read more than once.
pub(crate) fn check(name: &str, outcomes: Vec<(Call, Outcome)>, origin: &Origin) -> usize {
    let mut read: HashMap<String, usize> = HashMap::new();
    // What such a server does: each key is done once, each request without a key each time.
    let mut done: HashMap<String, usize> = HashMap::new();
    for seen in origin.seen() {
        *read.entry(seen.line.clone()).or_default() += 1;
        if seen.body.is_some() {
            let done = done.entry(seen.line).or_default();
            *done = if seen.key.is_some() { 1 } else { *done + 1 };
        }
    }
    let (mut replayed, mut unsent, mut unsure) = (0, 0, 0);
    for (call, outcome) in &outcomes {
        let line = call.line();
        let read = read.get(&line).copied().unwrap_or(0);
        let done = done.get(&line).copied().unwrap_or(0);
        replayed += usize::from(read > 1);
        let is_plain = line.starts_with("POST /plain");
        match outcome {
            Ok(()) => assert!(done >= 1, "{name}: {line} was answered, but not done"),
            Err(error) => {
                assert!(is_plain, "{name}: {line}: {error:?}");
                assert_eq!(
                    error.reason(),
                    Reason::NotIdempotent,
                    "{name}: {line}: {error:?}"
                );
                match error.sent() {
                    Sent::No => unsent += 1,
                    Sent::Maybe => unsure += 1,
                }
                assert!(
                    error.sent() == Sent::Maybe || read == 0,
                    "{name}: {line} was read, and the error says it was not sent: {error:?}"
                );
            }
        }
        if is_plain {
            assert!(read <= 1, "{name}: {line} was read {read} times");
        }
        if call.key.is_some() {
            assert_eq!(done, 1, "{name}: {line}");
        }
    }
    eprintln!(
        "{name}: {} calls, {RESTARTS} restarts, {} connections; read more than once: {replayed} (all \
         idempotent or with a key); POSTs without a key that failed: {unsure} perhaps sent, {unsent} \
         not sent",
        outcomes.len(),
        origin.connections(),
    );
    assert_eq!(unsent, 0, "{name}: what was not sent is replayed");
    replayed
}
