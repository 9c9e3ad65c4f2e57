use std::fmt;

use super::Ticket;
use crate::{Destination, Error};

/// What became of a message of an outbox.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The service answered it.
    Delivered,
    /// The service, the policy or the layer refused it for good. It is a
    /// [dead letter](super::Outbox::dead_letters).
    Refused,
    /// It was older than [`max_age`](super::OutboxBuilder::max_age), or than [its own
    /// limit](crate::Replayable::max_age). It is a dead letter.
    Expired,
    /// It had to make room for a newer one, or its caller was gone and there was none for it. It is a
    /// dead letter.
    Dropped,
    /// It could not be stored, and nobody was there to be told: the caller had dropped the call.
    NotStored,
    /// It can't be read: the codec refuses it, or its bytes are damaged. It stays in the store and is
    /// passed over, since a later version of the program may be able to read it; until then it counts
    /// as one of the outbox's messages. See [`discard_unreadable`](super::Outbox::discard_unreadable).
    Unreadable,
}

/// Tells what became of a message of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt {
    pub(super) ticket: Ticket,
    pub(super) outcome: Outcome,
}

impl Receipt {
    /// The message.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// What became of it.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }
}

/// A message that an outbox will not deliver. See [`Outbox::dead_letters`](super::Outbox::dead_letters).
pub struct DeadLetter<Req> {
    pub(super) ticket: Ticket,
    pub(super) destination: Destination,
    pub(super) request: Req,
    pub(super) size: usize,
    pub(super) outcome: Outcome,
    pub(super) error: Option<Error>,
}

impl<Req> DeadLetter<Req> {
    /// The message.
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// Where it should have gone.
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Why it did not.
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What refused it, if it was [`Refused`](Outcome::Refused). `None` if its attempt has panicked,
    /// or its caller was gone.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_ref()
    }

    /// The request.
    pub fn request(&self) -> &Req {
        &self.request
    }

    /// The request.
    pub fn into_request(self) -> Req {
        self.request
    }
}

impl<Req> fmt::Debug for DeadLetter<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("ticket", &self.ticket)
            .field("destination", &self.destination)
            .field("outcome", &self.outcome)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}
