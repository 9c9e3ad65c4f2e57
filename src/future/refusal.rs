//! Requests that a connection has refused although nothing is wrong with it, nor with the peer.

use std::error::Error;
#[cfg(feature = "hyper-conn")]
use std::sync::Arc;

#[cfg(feature = "hyper-conn")]
use crate::classify::{cast, steps};
#[cfg(feature = "hyper-conn")]
use crate::http::connection::{ConnectionClosed, Progress, RequestError};

/// A connection that takes no more requests, as the peer has said, and has ended well.
#[cfg(feature = "hyper-conn")]
pub(super) struct Refusal(Arc<Progress>);

/// No other connection tells.
#[cfg(not(feature = "hyper-conn"))]
pub(super) enum Refusal {}

#[cfg(feature = "hyper-conn")]
impl Refusal {
    /// If that is why an attempt failed.
    pub(super) fn find(error: &(dyn Error + 'static)) -> Option<Self> {
        let of = |step| match (cast::<RequestError>(step), cast::<ConnectionClosed>(step)) {
            (Some(error), _) => error.refused_by(),
            (_, Some(closed)) => closed.refused_by(),
            _ => None,
        };
        steps(error).find_map(of).cloned().map(Self)
    }

    /// Whether it has taken another request. To be asked after the next attempt: not all whom it has refused
    /// have heard of it before.
    pub(super) fn has_taken_others(&self) -> bool {
        self.0.has_taken()
    }
}

#[cfg(not(feature = "hyper-conn"))]
impl Refusal {
    pub(super) fn find(_: &(dyn Error + 'static)) -> Option<Self> {
        None
    }

    pub(super) fn has_taken_others(&self) -> bool {
        match *self {}
    }
}
