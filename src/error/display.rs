//! What a person reads at three in the morning: what failed, with which peer, how often and for how
//! long, whether the request may have arrived, and what to do.
//!
//! The wrapped service's own error is the source, so its text is not repeated here.

#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;

use super::Inner;
use super::advice::advice;
use crate::{ConnErrorKind as Kind, FailedAttempt, Reason, Sent};

pub(super) fn write(error: &Inner, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if error.reason == Reason::NotConnError {
        return fmt::Display::fmt(error.cause.as_dyn(), f);
    }
    headline(error, f)?;
    match error.attempts {
        0 => write!(f, " (no attempt in {:.1?}", error.elapsed)?,
        1 => write!(f, " (1 attempt in {:.1?}", error.elapsed)?,
        n => write!(f, " ({n} attempts in {:.1?}", error.elapsed)?,
    }
    kinds(error, f)?;
    f.write_str(match error.sent {
        Sent::No => "; the request was not sent)",
        Sent::Maybe if error.redirect_doubt => {
            "; the request may have arrived, if it was redirected)"
        }
        Sent::Maybe => "; the request may have arrived)",
    })?;
    match advice(error) {
        Some(advice) => write!(f, "; {advice}"),
        None => Ok(()),
    }
}

/// What failed, with which peer, and why that was the end of it.
fn headline(error: &Inner, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let to = &error.destination;
    match error.reason {
        Reason::GaveUp => return write!(f, "gave up on {to}"),
        Reason::AttemptsExhausted => return write!(f, "no attempt is left for {to}"),
        Reason::Poisoned => {
            return write!(
                f,
                "this request breaks the connection to {to}, others do not"
            );
        }
        Reason::QueueFull => {
            return write!(f, "{to} is down, and no place is left to hold the request");
        }
        Reason::Deferred => {
            return write!(f, "{to} is down, and the outbox will deliver the request");
        }
        Reason::NotStored => {
            write!(
                f,
                "{to} is down, and the outbox could not store the request"
            )?;
            return store_error(error, f);
        }
        Reason::Closed => return write!(f, "the outbox for {to} is closed"),
        _ => {}
    }
    match error.conn_error.map(|found| found.kind()) {
        Some(Kind::Timeout) => write!(f, "no answer from {to}")?,
        Some(Kind::Tls) => write!(f, "no TLS connection to {to}")?,
        Some(
            Kind::Refused
            | Kind::Unreachable
            | Kind::NetworkDown
            | Kind::AddressUnavailable
            | Kind::Dns
            | Kind::Local,
        ) => write!(f, "can't reach {to}")?,
        _ => write!(f, "lost the connection to {to}")?,
    }
    f.write_str(match error.reason {
        Reason::NotReplayable => ", and the request can't be copied",
        Reason::NotIdempotent => ", and the request is not idempotent",
        Reason::Permanent => ", and waiting would not help",
        Reason::PolicyFailed => ", and the policy is not to replay",
        _ => "",
    })
}

/// What the store said, to its root: it is not among the sources.
fn store_error(error: &Inner, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let first = error.store_error.as_deref();
    let mut next = first.map(|first| first as &(dyn StdError + 'static));
    let mut said = String::new();
    for _ in 0..MOST_SOURCES {
        let Some(error) = next else {
            break;
        };
        let text = error.to_string();
        // Some say what their source says.
        if !said.ends_with(&text) {
            write!(f, ": {text}")?;
            said = text;
        }
        next = error.source();
    }
    Ok(())
}

/// A chain can be a cycle.
const MOST_SOURCES: usize = 16;

/// What broke: attempt by attempt if it was not always the same, as far as it is remembered.
fn kinds(error: &Inner, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(last) = error.conn_error else {
        return Ok(());
    };
    let history = error.history.as_slice();
    let kind = |attempt: &FailedAttempt| attempt.conn_error().kind();
    if history.iter().all(|attempt| kind(attempt) == last.kind()) {
        return match error.attempts {
            0 | 1 => write!(f, ": {}", last.kind()),
            2 => write!(f, ", both: {}", last.kind()),
            _ if history.len() as u64 == u64::from(error.attempts) => {
                write!(f, ", all: {}", last.kind())
            }
            _ => write!(f, ", last: {}", last.kind()),
        };
    }
    let forgotten = u64::from(error.attempts) > history.len() as u64;
    let mut separator = if forgotten { ": …, " } else { ": " };
    for run in history.chunk_by(|one, next| kind(one) == kind(next)) {
        f.write_str(separator)?;
        separator = ", then ";
        if let Some(first) = run.first() {
            write!(f, "{}", kind(first))?;
        }
        if run.len() > 1 {
            write!(f, " × {}", run.len())?;
        }
    }
    Ok(())
}
