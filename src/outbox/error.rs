use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::BoxError;

/// An outbox could not be opened, or its store failed. It names the file.
#[derive(Debug)]
pub struct OutboxError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: OutboxErrorKind,
    path: Option<PathBuf>,
    source: Option<BoxError>,
}

/// What is wrong with an outbox's store.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutboxErrorKind {
    /// Another outbox has the file open, in this process or in another one.
    Locked,
    /// A newer version of this crate wrote the file.
    NewerVersion,
    /// The file is damaged, or it is not an outbox. What is intact of it can be had by
    /// `outbox::disk::salvage`.
    Corrupt,
    /// The system refused to read or write the file: no such directory, no permission, no room.
    Io,
    /// The codec refused a message. Nothing is wrong with the file.
    Encode,
    /// Something else failed in the store.
    Store,
}

impl OutboxError {
    /// One that is about no file.
    pub(super) fn of_store(source: BoxError) -> Self {
        let source = match source.downcast::<Self>() {
            Ok(own) => return *own,
            Err(source) => source,
        };
        Self(Box::new(Inner {
            kind: OutboxErrorKind::Store,
            path: None,
            source: Some(source),
        }))
    }

    #[cfg(feature = "outbox-disk")]
    pub(super) fn new(
        kind: OutboxErrorKind,
        path: &Path,
        source: impl Into<Option<BoxError>>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            path: Some(path.to_owned()),
            source: source.into(),
        }))
    }

    /// What is wrong.
    pub fn kind(&self) -> OutboxErrorKind {
        self.0.kind
    }

    /// The file, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }
}

impl fmt::Display for OutboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().unwrap_or(Path::new("")).display();
        match self.0.kind {
            OutboxErrorKind::Locked => write!(f, "the outbox {path} is open already"),
            OutboxErrorKind::NewerVersion => {
                write!(f, "a newer version of this program wrote the outbox {path}")
            }
            OutboxErrorKind::Corrupt => write!(f, "the outbox {path} is damaged"),
            OutboxErrorKind::Io => write!(f, "the outbox {path} can't be read or written"),
            OutboxErrorKind::Encode => {
                write!(f, "a message can't be stored in the outbox {path}")
            }
            OutboxErrorKind::Store if self.path().is_none() => write!(f, "the outbox failed"),
            OutboxErrorKind::Store => write!(f, "the outbox {path} failed"),
        }
    }
}

impl Error for OutboxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.source.as_deref()?)
    }
}
