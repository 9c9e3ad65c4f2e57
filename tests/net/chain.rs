//! What is found in an error's chain.

use std::error::Error;
use std::io;
use std::sync::Arc;

type Shared = Arc<dyn Error + Send + Sync>;

/// All of the errors in it, what an `io::Error` or an `Arc` hides included.
pub(crate) fn chain<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return io.get_ref().map(|inner| inner as &(dyn Error + 'static));
        }
        match error.downcast_ref::<Shared>() {
            Some(shared) => Some(&**shared),
            None => error.source(),
        }
    })
}

pub(crate) fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    chain(error).find_map(|error| error.downcast_ref::<E>())
}

/// The system's code, if there is one in it.
pub(crate) fn errno(error: &(dyn Error + 'static)) -> Option<i32> {
    chain(error).find_map(|error| error.downcast_ref::<io::Error>()?.raw_os_error())
}
