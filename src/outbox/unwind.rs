use std::panic::{AssertUnwindSafe, catch_unwind};

/// `None` if it panics. What it was about is given up by who calls this.
pub(super) fn unwind<T>(f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(f)).ok()
}
