//! Into tonic's error.

use std::sync::Arc;

use tonic::{Code, Status};

use super::{Error, Reason};

/// For gRPC clients: `.map_err(Status::from)` above the layer.
///
/// | error | code |
/// |---|---|
/// | not about the connection | that of the [`Status`] in its chain, with its message, details and metadata; else `Unknown` |
/// | [`QueueFull`](Reason::QueueFull) | `ResourceExhausted` |
/// | [`Permanent`](Reason::Permanent), [`Poisoned`](Reason::Poisoned), [`Closed`](Reason::Closed) | `FailedPrecondition` |
/// | any other | `Unavailable` |
///
/// The error is the status's source: `status.source()` and a downcast give it back. (Without this
/// conversion tonic does the same, but finds its code in the chain, where those for lost connections
/// mislead.)
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut status = match (error.reason(), error.downcast_ref::<Status>()) {
            (Reason::NotConnError, Some(inner)) => Status::with_details_and_metadata(
                inner.code(),
                inner.message(),
                inner.details().to_vec().into(),
                inner.metadata().clone(),
            ),
            (reason, _) => Status::new(code(reason), error.to_string()),
        };
        status.set_source(Arc::new(error));
        status
    }
}

fn code(reason: Reason) -> Code {
    match reason {
        Reason::NotConnError => Code::Unknown,
        Reason::QueueFull => Code::ResourceExhausted,
        Reason::Permanent | Reason::Poisoned | Reason::Closed => Code::FailedPrecondition,
        Reason::NotReplayable
        | Reason::NotIdempotent
        | Reason::PolicyFailed
        | Reason::GaveUp
        | Reason::AttemptsExhausted
        | Reason::Deferred => Code::Unavailable,
    }
}
