//! tonic's channels.
//!
//! A code says nothing: a server that is lost is `Unknown`, a proxy's 503 is `Unavailable`. So only
//! what is below a status counts, and a status that the server sent has nothing below it.

use std::error::Error;

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    if cast::<tonic::TimeoutExpired>(error).is_some() {
        context.note(ConnErrorKind::Timeout);
        return Flow::Stop;
    }
    if cast::<tonic::ConnectError>(error).is_some() {
        context.set_connecting();
        context.set_handshake(true);
        context.assume(Some(ConnErrorKind::Other));
        return Flow::Next;
    }
    if cast::<tonic::Status>(error).is_some() || cast::<tonic::transport::Error>(error).is_some() {
        context.set_hypers();
        return Flow::Next;
    }
    Flow::Pass
}
