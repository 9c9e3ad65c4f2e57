//! Errors of the store, and who hears of them.

use std::error::Error;
use std::sync::{Arc, OnceLock};

use super::unwind::unwind;
use crate::{BoxError, Observer};

/// One that many are told: what they had put failed together.
pub(super) type StoreError = Arc<dyn Error + Send + Sync>;

/// Tells the observer of the layered service, as soon as there is one.
#[derive(Clone, Default)]
pub(super) struct Failures(Arc<OnceLock<Arc<dyn Observer>>>);

impl Failures {
    pub(super) fn watched_by(&self, observer: Option<Arc<dyn Observer>>) {
        if let Some(observer) = observer {
            let _ = self.0.set(observer); // an outbox is layered once
        }
    }

    /// Not for callers who hold a lock: the observer may look at the outbox.
    pub(super) fn tell(&self, error: &(dyn Error + 'static)) {
        if let Some(observer) = self.0.get() {
            unwind(|| observer.store_failed(error));
        }
    }

    /// Tells what went wrong, if it did.
    pub(super) fn look<T>(&self, done: Result<T, BoxError>) -> Result<T, BoxError> {
        done.inspect_err(|error| self.tell(&**error))
    }
}
