use std::error::Error;
use std::time::Duration;

use crate::{ConnError, Outlook, Reason, Sent};

/// What is done about a failed attempt.
#[non_exhaustive]
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Decision {
    /// The caller gets the error.
    Fail,
    /// The request is replayed: at once after one broken connection, else when the destination is
    /// back.
    Replay,
}

/// An attempt that failed with a connection error, as a policy sees it.
#[derive(Debug)]
pub struct Failure<'a, Req> {
    pub(crate) request: &'a Req,
    pub(crate) error: &'a (dyn Error + 'static),
    pub(crate) conn_error: ConnError,
    pub(crate) sent: Sent,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    pub(crate) idempotent: bool,
    pub(crate) persist: bool,
}

impl<'a, Req> Failure<'a, Req> {
    /// The request.
    pub fn request(&self) -> &'a Req {
        self.request
    }

    /// The error, as the wrapped service returned it.
    pub fn error(&self) -> &'a (dyn Error + 'static) {
        self.error
    }

    /// What the error says about the connection. Its outlook is [`Transient`](Outlook::Transient)
    /// on a destination that worked before: there, a wrong certificate or a vanished name is a
    /// symptom of the path.
    pub fn conn_error(&self) -> ConnError {
        self.conn_error
    }

    /// How many attempts this request had, the failed one included.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The time since the call began, waiting included.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// Whether doing this request twice is as good as once
    /// ([`Replayable::is_idempotent`](crate::Replayable::is_idempotent)).
    pub fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Replay if waiting can help, and no attempt of this request can have been seen by the peer or
    /// the request is idempotent.
    pub fn default_decision(&self) -> Decision {
        match self.objection() {
            None => Decision::Replay,
            Some(_) => Decision::Fail,
        }
    }

    /// Why the default decision is to fail.
    pub(crate) fn objection(&self) -> Option<Reason> {
        if self.conn_error.outlook() == Outlook::Permanent && !self.persist {
            Some(Reason::Permanent)
        } else if self.sent == Sent::Maybe && !self.idempotent {
            Some(Reason::NotIdempotent)
        } else {
            None
        }
    }
}
