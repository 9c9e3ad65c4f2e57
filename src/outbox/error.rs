use std::fmt;
use std::io;

use crate::BoxError;

/// An outbox could not be opened.
#[derive(Debug)]
pub struct OutboxError {
    what: &'static str,
    source: BoxError,
}

impl OutboxError {
    pub(super) fn thread(error: io::Error) -> Self {
        Self {
            what: "the thread of the outbox could not be started",
            source: error.into(),
        }
    }

    pub(super) fn contents(source: BoxError) -> Self {
        Self {
            what: "the outbox could not be read",
            source,
        }
    }
}

impl fmt::Display for OutboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what)
    }
}

impl std::error::Error for OutboxError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}
