//! What a client has seen: its answers, and each failed attempt with the verdict on it.

use std::error::Error;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tower_conn_retry::tcp::{self, ErrorKind};
use tower_conn_retry::{
    ConnError, ConnErrorKind, ConnErrorPolicy, Decision, Destination, Failure, Observer,
};

use crate::chain::{chain, errno, find};

/// Whatever takes longer is a hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Default)]
pub(crate) struct Witness(Arc<(Mutex<Notes>, Condvar)>);

#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) called: u64,
    pub(crate) answers: Vec<(u64, Instant)>,
    pub(crate) attempts: Vec<FailedAttempt>,
    /// Calls that ended with an error.
    pub(crate) failed: Vec<(u64, String)>,
    pub(crate) went_down: Vec<Instant>,
}

pub(crate) struct FailedAttempt {
    pub(crate) number: u64,
    pub(crate) at: Instant,
    pub(crate) verdict: ConnError,
    pub(crate) sign: Sign,
    /// The whole chain, for whoever reads the failure of a test.
    pub(crate) text: String,
}

/// What it was: where it failed, the verdict on it, and the system's code, or 0.
pub(crate) type Sign = (ErrorKind, ConnErrorKind, i32);

impl Witness {
    pub(crate) fn note(&self, note: impl FnOnce(&mut Notes)) {
        note(&mut lock(&self.0.0));
        self.0.1.notify_all();
    }

    pub(crate) fn look<T>(&self, look: impl FnOnce(&Notes) -> T) -> T {
        look(&lock(&self.0.0))
    }

    /// Waits until it is so.
    pub(crate) fn wait_until(&self, what: &str, so: impl Fn(&Notes) -> bool) {
        let (notes, changed) = &*self.0;
        let (notes, timeout) = changed
            .wait_timeout_while(lock(notes), PATIENCE, |notes| !so(notes))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "hangs: {what}\n{}", notes.summary());
    }
}

impl Notes {
    /// The last attempts that failed, and how many answers there are.
    pub(crate) fn summary(&self) -> String {
        let mut lines = vec![format!(
            "{} called, {} answered, {} attempts failed, the last ones:",
            self.called,
            self.answers.len(),
            self.attempts.len()
        )];
        for attempt in self.attempts.iter().rev().take(5) {
            lines.push(format!(
                "  {}: {:?} {}",
                attempt.number, attempt.sign, attempt.text
            ));
        }
        lines.join("\n")
    }
}

impl ConnErrorPolicy<u64> for Witness {
    fn decide(&self, failure: &Failure<'_, u64>) -> Decision {
        let sign = sign(failure.error(), failure.conn_error());
        let attempt = FailedAttempt {
            number: *failure.request(),
            at: Instant::now(),
            verdict: failure.conn_error(),
            sign,
            text: chain(failure.error())
                .map(|error| format!("{error}; "))
                .collect(),
        };
        self.note(|notes| notes.attempts.push(attempt));
        failure.default_decision()
    }
}

impl Observer for Witness {
    fn link_down(&self, _: &Destination, _: ConnError) {
        self.note(|notes| notes.went_down.push(Instant::now()));
    }
}

/// A test that fails while it looks tells enough by itself.
fn lock(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sign(error: &(dyn Error + 'static), verdict: ConnError) -> Sign {
    let tcp = find::<tcp::Error>(error).expect("an error of the TCP client");
    (tcp.kind(), verdict.kind(), errno(error).unwrap_or(0))
}
