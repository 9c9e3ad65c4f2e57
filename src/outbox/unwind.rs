use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::BoxError;

/// `None` if it panics. What it was about is given up by who calls this.
pub(super) fn unwind<T>(f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).ok()
}

/// A panic of `who` is an error like others.
pub(super) fn caught<T>(who: &str, f: impl FnOnce() -> Result<T, BoxError>) -> Result<T, BoxError> {
    let panic = match catch_unwind(AssertUnwindSafe(f)) {
        Ok(done) => return done,
        Err(panic) => panic,
    };
    Err(match text_of(&*panic) {
        Some(text) => format!("{who} panicked: {text}").into(),
        None => format!("{who} panicked").into(),
    })
}

pub(super) fn text_of(panic: &(dyn Any + Send)) -> Option<&str> {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
}
