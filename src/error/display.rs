//! What a person reads at three in the morning: what failed, with which peer, how often and for how
//! long, whether the request may have arrived, and what to do.

use std::fmt;

use super::Inner;
use crate::{Reason, Sent};

pub(super) fn write(error: &Inner, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let to = &error.destination;
    match error.reason {
        Reason::NotConnError => return fmt::Display::fmt(error.cause.as_dyn(), f),
        Reason::NotReplayable => write!(
            f,
            "lost the connection to {to}, and the request can't be copied"
        )?,
        Reason::NotIdempotent => write!(
            f,
            "lost the connection to {to}, and the request is not idempotent"
        )?,
        Reason::Permanent => write!(f, "can't connect to {to}, and waiting would not help")?,
        Reason::PolicyFailed => write!(
            f,
            "lost the connection to {to}, and the policy is not to replay"
        )?,
        Reason::GaveUp => write!(f, "gave up on {to}")?,
        Reason::AttemptsExhausted => write!(f, "no attempt is left for {to}")?,
        Reason::Poisoned => write!(
            f,
            "this request breaks the connection to {to}, others do not"
        )?,
        Reason::QueueFull => write!(f, "{to} is down, and no place is left to hold the request")?,
        Reason::Deferred => write!(f, "{to} is down, and the outbox will deliver the request")?,
        Reason::NotStored => write!(
            f,
            "{to} is down, and the outbox could not store the request"
        )?,
        Reason::Closed => write!(f, "the outbox for {to} is closed")?,
    }
    match error.attempts {
        0 => write!(f, " (no attempt in {:.1?}", error.elapsed)?,
        1 => write!(f, " (1 attempt in {:.1?}", error.elapsed)?,
        n => write!(f, " ({n} attempts in {:.1?}", error.elapsed)?,
    }
    if let Some(conn_error) = error.conn_error {
        write!(f, ", last: {}", conn_error.kind())?;
    }
    f.write_str(match error.sent {
        Sent::No => "; it was not sent)",
        Sent::Maybe => "; it may have arrived)",
    })?;
    if error.reason == Reason::NotIdempotent {
        f.write_str(if error.redirect_doubt {
            "; to have such a request replayed, build the client with `redirect::Policy::none()` \
             and promise `.redirects_off()`, or give it an `Idempotency-Key` header"
        } else {
            "; to have such a request replayed, give it an idempotency key that the peer honours"
        })?;
    }
    Ok(())
}
