//! What is left of a tokio runtime that was dropped: timers that panic, sockets and tasks that fail.
//!
//! tokio's own check of its text is younger than the oldest tokio that this crate takes.

use std::any::Any;
use std::error::Error;

use tokio::task::JoinError;

use crate::classify::{Text, cast, steps};

/// Of a panic, and of a socket's error.
const SHUTTING_DOWN: &str = "A Tokio 1.x context was found, but it is being shutdown.";
/// What a [`JoinError`] is turned into by tokio's own use of tasks.
const CANCELLED: &str = "task was cancelled";

pub(super) fn is_panic_of_it(panic: &(dyn Any + Send)) -> bool {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text == Some(SHUTTING_DOWN)
}

/// Or of a task that somebody has aborted, which looks the same.
pub(super) fn is_error_of_it(error: &(dyn Error + 'static)) -> bool {
    steps(error).any(|step| match cast::<JoinError>(step) {
        Some(task) => task.is_cancelled(),
        None => Text::of(step).is_some_and(|text| {
            let text = text.as_bytes();
            text == SHUTTING_DOWN.as_bytes() || text == CANCELLED.as_bytes()
        }),
    })
}
