use std::error::Error;
use std::sync::Arc;

use crate::BoxError;

/// The inner error of a failed call.
pub(crate) enum Cause {
    /// The request's own, nobody else has it.
    Own(BoxError),
    /// One that a link holds too.
    Shared(Arc<dyn Error + Send + Sync>),
}

impl Cause {
    pub(crate) fn as_dyn(&self) -> &(dyn Error + 'static) {
        match self {
            Self::Own(error) => &**error,
            Self::Shared(error) => &**error,
        }
    }

    pub(crate) fn into_box(self) -> BoxError {
        match self {
            Self::Own(error) => error,
            Self::Shared(error) => Box::new(error),
        }
    }
}
