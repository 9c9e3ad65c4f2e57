//! This crate's own errors. They know what others must infer.

use std::error::Error;

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast};
use crate::request::{ConnectError, NotSent};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    if cast::<ConnectError>(error).is_some() {
        context.set_connecting();
        context.set_certain(ConnErrorKind::Other);
        return Flow::Next;
    }
    // `Unsent<Req>` is generic, so it can't be asked for; its source is a `NotSent`.
    if cast::<NotSent>(error).is_some() {
        context.set_unsent();
        return Flow::Next;
    }
    // INTEGRATION: `AttemptTimeout` goes here (`note(ConnErrorKind::Timeout)`, `Flow::Stop`), and
    // `tcp::Error` (by its own account: `set_connecting` or `set_unsent`, `note`, `Flow::Next`).
    Flow::Pass
}
