//! Which errors are about the connection.

mod conn_error;

pub use conn_error::{ConnError, ConnErrorKind, Outlook, Sent};

use std::error::Error;

/// What this error says about the connection, if it is about the connection at all.
pub fn classify(_error: &(dyn Error + 'static)) -> Option<ConnError> {
    None
}

/// Is this error about the connection?
pub fn is_conn_error(error: &(dyn Error + 'static)) -> bool {
    classify(error).is_some()
}

/// The first error in the chain for which `f` has an answer. (Placeholder until the walker is here.)
pub(crate) fn find<'a, T>(
    error: &'a (dyn Error + 'static),
    f: &dyn Fn(&'a (dyn Error + 'static)) -> Option<T>,
) -> Option<T> {
    std::iter::successors(Some(error), |&e| e.source())
        .take(64)
        .find_map(f)
}
