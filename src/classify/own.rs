//! This crate's own errors. They know what others must infer.

use std::error::Error;

#[cfg(feature = "http")]
use super::ConnError;
use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast};
use crate::AttemptTimeout;
#[cfg(feature = "hyper-conn")]
use crate::http::connection::{ConnectionClosed, RequestError};
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
    #[cfg(feature = "hyper-conn")]
    if cast::<ConnectionClosed>(error).is_some() {
        // Whatever ended the connection was not this request's doing.
        context.set_unsent();
        context.set_certain(ConnErrorKind::Closed);
        return Flow::Next;
    }
    #[cfg(feature = "hyper-conn")]
    if cast::<RequestError>(error).is_some() {
        // Of HTTP/2 too: see `Serial`, which is what it takes.
        context.set_per_stream();
        return Flow::Next;
    }
    if cast::<AttemptTimeout>(error).is_some() {
        context.note(ConnErrorKind::Timeout);
        return Flow::Stop;
    }
    // A layer within a layer.
    if let Some(error) = cast::<crate::Error>(error) {
        return match error.conn_error() {
            Some(found) => {
                context.note_error(found.with_sent(error.sent()));
                Flow::Stop
            }
            None => Flow::Into(error.inner()),
        };
    }
    #[cfg(feature = "http")]
    if let Some(answer) = cast::<crate::Unavailable>(error) {
        let found = ConnError::new(ConnErrorKind::Other);
        let wait = answer.retry_after();
        context.note_error(wait.map_or(found, |wait| found.with_retry_after(wait)));
        return Flow::Stop;
    }
    #[cfg(feature = "http")]
    if cast::<crate::ReplayBodyError>(error).is_some() {
        return Flow::NotConn;
    }
    #[cfg(feature = "tcp")]
    if let Some(error) = cast::<crate::tcp::Error>(error) {
        return match error.conn_error() {
            Some(found) => {
                context.note_error(found);
                Flow::Stop
            }
            None => Flow::NotConn,
        };
    }
    Flow::Pass
}
