//! What an error says about the end of a connection.

use std::error::Error;

use super::heirs::Heir;
#[cfg(feature = "hyper-conn")]
use crate::classify::{cast, steps};
#[cfg(feature = "hyper-conn")]
use crate::http::connection::ConnectionClosed;

/// Whether a call that goes on to a new connection would go past those in flight on this one. Not on
/// HTTP/2: there they may go on for long, after a GOAWAY.
pub(super) fn is_ordered(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "hyper-conn")]
    if let Some(closed) = steps(error).find_map(cast::<ConnectionClosed>) {
        return closed.is_ordered();
    }
    let _ = error;
    true
}

/// Of a connection that has ended well: who goes on to the next one.
pub(super) fn heir<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Heir> {
    #[cfg(feature = "hyper-conn")]
    if let Some(closed) = steps(error).find_map(cast::<ConnectionClosed>) {
        return closed.heir();
    }
    let _ = error;
    None
}
