//! What became of the requests of one HTTP/2 connection, for those that it has refused.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use h2::Reason;

use crate::classify::{cast, steps};

#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Requests that were answered, or may be yet.
    taken: AtomicUsize,
    /// It is over, without an error.
    well: AtomicBool,
}

impl Progress {
    /// Whether it has taken any request. To be asked when those that were refused have heard of it; before
    /// that they count as taken.
    pub(crate) fn has_taken(&self) -> bool {
        self.taken.load(Ordering::Relaxed) > 0
    }

    /// A request is given to it.
    pub(super) fn take(self: &Arc<Self>) -> Taken {
        self.taken.fetch_add(1, Ordering::Relaxed);
        Taken(Some(self.clone()))
    }

    pub(super) fn end_well(&self) {
        self.well.store(true, Ordering::Release);
    }

    /// If it has ended well.
    pub(super) fn well(self: &Arc<Self>) -> Option<Arc<Self>> {
        self.well.load(Ordering::Acquire).then(|| self.clone())
    }
}

/// A request that the connection has. Dropping it means that it comes to nothing.
pub(super) struct Taken(Option<Arc<Progress>>);

impl Taken {
    pub(super) fn answered(mut self) {
        self.0 = None;
    }

    /// Of a connection that has ended well, if that is why the request comes to nothing.
    pub(super) fn refused(self, error: &hyper::Error, handed_back: bool) -> Option<Arc<Progress>> {
        let of = self.0.as_ref()?;
        // The one of those that wait for a stream that is not handed back has lost its task.
        match handed_back || error.is_user() {
            true => of.well(),
            false => is_graceful(error).then(|| of.clone()),
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(of) = &self.0 {
            of.taken.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// The peer has sent a GOAWAY without an error. (If it is the stream's own, that says [`classify`](crate::classify()).)
fn is_graceful(error: &(dyn Error + 'static)) -> bool {
    let h2 = steps(error).find_map(cast::<h2::Error>);
    h2.is_some_and(|h2| h2.is_remote() && h2.is_go_away() && h2.reason() == Some(Reason::NO_ERROR))
}
