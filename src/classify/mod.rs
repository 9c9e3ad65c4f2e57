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
