//! Into tonic's error.

use std::sync::Arc;

use tonic::{Code, Status};

use super::{Error, Reason};
use crate::{ConnErrorKind, Sent};

/// For gRPC clients: `.map_err(Status::from)` above the layer.
///
/// | error | code |
/// |---|---|
/// | not about the connection | that of the [`Status`] in its chain, with its message, details and metadata; else `Unknown` |
/// | [`QueueFull`](Reason::QueueFull) | `ResourceExhausted` |
/// | [`Permanent`](Reason::Permanent), [`Poisoned`](Reason::Poisoned), [`Closed`](Reason::Closed) | `FailedPrecondition` |
/// | a [timeout](crate::ConnErrorKind::Timeout) of what may have been done and is not replayed ([`NotIdempotent`](Reason::NotIdempotent), [`NotReplayable`](Reason::NotReplayable)) | `DeadlineExceeded` |
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
            _ => Status::new(code(&error), error.to_string()),
        };
        status.set_source(Arc::new(error));
        status
    }
}

fn code(error: &Error) -> Code {
    let timed_out = || {
        let kind = error.conn_error().map(|found| found.kind());
        error.sent() == Sent::Maybe && kind == Some(ConnErrorKind::Timeout)
    };
    match error.reason() {
        Reason::NotConnError => Code::Unknown,
        Reason::QueueFull => Code::ResourceExhausted,
        Reason::Permanent | Reason::Poisoned | Reason::Closed => Code::FailedPrecondition,
        Reason::NotReplayable | Reason::NotIdempotent if timed_out() => Code::DeadlineExceeded,
        Reason::NotReplayable
        | Reason::NotIdempotent
        | Reason::PolicyFailed
        | Reason::GaveUp
        | Reason::AttemptsExhausted
        | Reason::Deferred
        | Reason::NotStored => Code::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::error::Error as _;
    use std::io;

    use tower::{Layer, ServiceExt, service_fn};

    use super::*;
    use crate::{BoxError, Replayable, RetryOnConnErr};

    async fn failed(error: fn() -> BoxError) -> Status {
        let service = service_fn(move |()| async move { Err::<Infallible, _>(error()) });
        let layer = RetryOnConnErr::new().clone_requests().max_attempts(1);
        match layer.layer(service).oneshot(()).await {
            Err(error) => error.into(),
            Ok(never) => match never {},
        }
    }

    #[tokio::test]
    async fn a_status_below_keeps_what_it_says() {
        let status = failed(|| {
            let mut status = Status::with_details(Code::NotFound, "no robot", "x".into());
            let left = "hall".parse().unwrap();
            status.metadata_mut().insert("left", left);
            status.into()
        })
        .await;
        assert_eq!(
            (status.code(), status.message()),
            (Code::NotFound, "no robot")
        );
        assert_eq!(status.details(), b"x");
        assert_eq!(status.metadata().get("left").unwrap(), "hall");
        assert!(status.source().is_some_and(|source| source.is::<Error>()));
    }

    /// It may have been done.
    struct Order;

    impl Replayable for Order {
        fn try_clone(&self) -> Option<Self> {
            Some(Self)
        }

        fn is_idempotent(&self) -> bool {
            false
        }
    }

    #[tokio::test]
    async fn what_may_have_been_done_has_the_code_of_a_deadline_after_a_timeout() {
        for (kind, code) in [
            (io::ErrorKind::TimedOut, Code::DeadlineExceeded),
            (io::ErrorKind::ConnectionReset, Code::Unavailable),
        ] {
            let service = service_fn(move |_: Order| async move {
                Err::<Infallible, _>(BoxError::from(io::Error::from(kind)))
            });
            let error = RetryOnConnErr
                .layer(service)
                .oneshot(Order)
                .await
                .unwrap_err();
            assert_eq!(error.reason(), Reason::NotIdempotent);
            assert_eq!(Status::from(error).code(), code);
        }
    }

    #[tokio::test]
    async fn a_connection_error_is_unavailable_and_anything_else_unknown() {
        let status = failed(|| io::Error::from(io::ErrorKind::ConnectionReset).into()).await;
        assert_eq!(status.code(), Code::Unavailable);
        let ours = status.source().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(ours.reason(), Reason::AttemptsExhausted);
        assert_eq!(failed(|| "robot".into()).await.code(), Code::Unknown);
    }
}
