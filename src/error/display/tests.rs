//! The texts, word for word.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Inner;
use crate::ConnErrorKind::{
    AddressUnavailable, BrokenPipe, Closed, Dns, Local, Refused, Reset, Timeout, Tls, Unreachable,
};
use crate::Outlook::{Permanent, Transient};
use crate::error::{AttemptTimeout, Cause, History};
use crate::{ConnError, ConnErrorKind, Destination, Error, Outlook, Reason, Sent};

struct Failed {
    reason: Reason,
    kinds: Vec<ConnErrorKind>,
    outlook: Outlook,
    sent: Sent,
    attempts: u32,
    redirect_doubt: bool,
    store_error: Option<Store>,
}

fn failed(reason: Reason, kinds: &[ConnErrorKind], sent: Sent) -> Failed {
    Failed {
        reason,
        kinds: kinds.to_vec(),
        outlook: Transient,
        sent,
        attempts: u32::try_from(kinds.len()).expect("few"),
        redirect_doubt: false,
        store_error: None,
    }
}

/// What a store says, with a source that says more.
#[derive(Debug, Clone)]
struct Store;

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the outbox x can't be written")
    }
}

impl std::error::Error for Store {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&AttemptTimeout { _private: () })
    }
}

impl Failed {
    fn text(&self) -> String {
        let found = |kind: ConnErrorKind| ConnError::new(kind).with_outlook(self.outlook);
        let mut history = History::default();
        for (second, &kind) in (0..).zip(self.kinds.iter().take(self.attempts as usize)) {
            history.push(Duration::from_secs(second), found(kind));
        }
        let source = io::Error::other("the text of the source");
        let error = Error::new(Inner {
            reason: self.reason,
            cause: Cause::Own(source.into()),
            conn_error: self.kinds.last().map(|&kind| found(kind)),
            sent: self.sent,
            attempts: self.attempts,
            elapsed: Duration::from_millis(12_345),
            history,
            destination: Destination::new("http://robot:8080"),
            redirect_doubt: self.redirect_doubt,
            ticket: None,
            store_error: self.store_error.clone().map(|it| Arc::new(it) as _),
        });
        error.to_string()
    }
}

#[test]
fn texts() {
    use Sent::{Maybe, No};

    let twenty = [Refused; 20];
    let rows: Vec<(Failed, &str)> = vec![
        (
            failed(Reason::NotConnError, &[], Maybe),
            "the text of the source",
        ),
        (
            failed(Reason::GaveUp, &[Refused; 7], No),
            "gave up on http://robot:8080 (7 attempts in 12.3s, all: connection refused; the request was not sent); nobody listens there: is the server running?",
        ),
        (
            failed(Reason::GaveUp, &twenty, No),
            "gave up on http://robot:8080 (20 attempts in 12.3s, last: connection refused; the request was not sent); nobody listens there: is the server running?",
        ),
        (
            failed(Reason::GaveUp, &[Reset, Refused, Refused, Timeout], Maybe),
            "gave up on http://robot:8080 (4 attempts in 12.3s: connection reset, then connection refused × 2, then timed out; the request may have arrived); it is silent: is it overloaded, or does a firewall drop packets?",
        ),
        (
            Failed {
                attempts: 0,
                ..failed(Reason::GaveUp, &[Unreachable], No)
            },
            "gave up on http://robot:8080 (no attempt in 12.3s: peer unreachable; the request was not sent); there is no way to it: check the address, routes and firewalls",
        ),
        (
            failed(Reason::NotIdempotent, &[Closed], Maybe),
            "lost the connection to http://robot:8080, and the request is not idempotent (1 attempt in 12.3s: connection closed; the request may have arrived); to have such a request replayed, give it an idempotency key that the peer honours",
        ),
        (
            Failed {
                redirect_doubt: true,
                ..failed(Reason::NotIdempotent, &[Refused], Maybe)
            },
            "can't reach http://robot:8080, and the request is not idempotent (1 attempt in 12.3s: connection refused; the request may have arrived, if it was redirected); to have such a request replayed, let the client follow no redirects (reqwest: `redirect::Policy::none()`, `retry::never()`) and promise `.redirects_off()`, or give it an `Idempotency-Key` header",
        ),
        (
            failed(Reason::NotReplayable, &[BrokenPipe], Maybe),
            "lost the connection to http://robot:8080, and the request can't be copied (1 attempt in 12.3s: broken pipe; the request may have arrived); to have such a request replayed, give it a body that can be copied: bytes, no stream and no multipart form; or keep what is read of it with a (larger) `ReplayBodyLayer`",
        ),
        (
            Failed {
                outlook: Permanent,
                ..failed(Reason::Permanent, &[Tls], No)
            },
            "no TLS connection to http://robot:8080, and waiting would not help (1 attempt in 12.3s: TLS failed; the request was not sent); check the certificate, the name, the TLS version, and whether the peer speaks TLS at all",
        ),
        (
            Failed {
                outlook: Permanent,
                ..failed(Reason::Permanent, &[Dns], No)
            },
            "can't reach http://robot:8080, and waiting would not help (1 attempt in 12.3s: name resolution failed; the request was not sent); check the address, and the host's name in it",
        ),
        (
            Failed {
                outlook: Permanent,
                ..failed(Reason::Permanent, &[Local], No)
            },
            "can't reach http://robot:8080, and waiting would not help (1 attempt in 12.3s: forbidden by a local limit; the request was not sent); this machine forbids it: permissions, or a firewall",
        ),
        (
            failed(Reason::AttemptsExhausted, &[Timeout, Timeout], Maybe),
            "no attempt is left for http://robot:8080 (2 attempts in 12.3s, both: timed out; the request may have arrived); it is silent: is it overloaded, or does a firewall drop packets?",
        ),
        (
            failed(Reason::Poisoned, &[Reset; 4], Maybe),
            "this request breaks the connection to http://robot:8080, others do not (4 attempts in 12.3s, all: connection reset; the request may have arrived); look for what is special about it in the peer's log",
        ),
        (
            Failed {
                attempts: 0,
                ..failed(Reason::QueueFull, &[Dns], No)
            },
            "http://robot:8080 is down, and no place is left to hold the request (no attempt in 12.3s: name resolution failed; the request was not sent); check this machine's name servers",
        ),
        (
            Failed {
                attempts: 0,
                store_error: Some(Store),
                ..failed(Reason::NotStored, &[Refused], No)
            },
            "http://robot:8080 is down, and the outbox could not store the request: the outbox x can't be written: no answer in the time of an attempt (no attempt in 12.3s: connection refused; the request was not sent)",
        ),
        (
            failed(Reason::PolicyFailed, &[Timeout], Maybe),
            "no answer from http://robot:8080, and the policy is not to replay (1 attempt in 12.3s: timed out; the request may have arrived)",
        ),
        (
            failed(Reason::GaveUp, &[AddressUnavailable], No),
            "gave up on http://robot:8080 (1 attempt in 12.3s: local address unavailable; the request was not sent); this machine has no local address or port left for it",
        ),
    ];
    for (failed, text) in rows {
        assert_eq!(failed.text(), text);
    }
}

/// Nothing twice: neither in one text, nor in the source's.
#[test]
fn no_text_twice() {
    let reasons = [
        Reason::GaveUp,
        Reason::NotIdempotent,
        Reason::NotReplayable,
        Reason::Permanent,
        Reason::PolicyFailed,
        Reason::AttemptsExhausted,
        Reason::Poisoned,
        Reason::QueueFull,
    ];
    for reason in reasons {
        for kind in [Refused, Timeout, Tls, Dns, Closed] {
            let text = failed(reason, &[kind], Sent::No).text();
            for once in ["http://robot:8080", &kind.to_string(), "the request was"] {
                assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
            }
            assert!(!text.contains("the text of the source"), "{text}");
        }
    }
}
