use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::Error;

use crate::BoxError;
use crate::outbox::unwind::text_of;
use crate::outbox::{OutboxError, OutboxErrorKind};

/// What the engine says is wrong; without the path.
#[derive(Debug)]
pub(super) struct Fault {
    kind: OutboxErrorKind,
    source: BoxError,
}

impl<E: Into<Error>> From<E> for Fault {
    fn from(error: E) -> Self {
        let error = error.into();
        let kind = match &error {
            Error::Io(error) => match error.kind() {
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    OutboxErrorKind::Corrupt
                }
                _ => OutboxErrorKind::Io,
            },
            Error::PreviousIo => OutboxErrorKind::Io,
            Error::DatabaseAlreadyOpen => OutboxErrorKind::Locked,
            Error::Corrupted(_)
            | Error::UpgradeRequired(_)
            | Error::TableDoesNotExist(_)
            | Error::TableTypeMismatch { .. }
            | Error::TableIsMultimap(_)
            | Error::TypeDefinitionChanged { .. } => OutboxErrorKind::Corrupt,
            _ => OutboxErrorKind::Store,
        };
        // The system's own error, where it is one: the engine's has no source.
        let source = match error {
            Error::Io(error) => error.into(),
            error => error.into(),
        };
        Self { kind, source }
    }
}

/// Runs the engine's code. A panic in it is an error like others.
pub(super) fn guard<T>(
    path: &Path,
    run: impl FnOnce() -> Result<T, Fault>,
) -> Result<T, OutboxError> {
    // Whatever a panic leaves half done is thrown away: after an error the file is opened anew.
    let (kind, source) = match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(fault)) => (fault.kind, fault.source),
        Err(panic) => {
            let text = text_of(&*panic).unwrap_or("the engine panicked");
            (OutboxErrorKind::Corrupt, text.into())
        }
    };
    Err(OutboxError::new(kind, path, Some(source)))
}
