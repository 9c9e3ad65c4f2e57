//! hyper's connections, HTTP/1 and HTTP/2.

use std::error::Error;

use hyper::Error as HyperError;

use super::ConnErrorKind;
use super::context::Context;
use super::text::Text;
use super::walk::{Flow, cast, is_bounded};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(hyper) = cast::<HyperError>(error) else {
        return Flow::Pass;
    };
    // A connection's own error, even if it came up while the content was read.
    context.set_content(false);
    // hyper unwraps an h2 error that is an io::Error.
    context.set_below_h2();
    if hyper.is_user() {
        return if is_dispatch_gone(hyper) {
            context.note(ConnErrorKind::Closed);
            Flow::Stop
        } else {
            Flow::NotConn
        };
    }
    if hyper.is_parse() {
        return Flow::NotConn;
    }
    if hyper.is_canceled() && is_upgrade(hyper) {
        // The answer was read, which said that the connection is for something else now.
        context.note(ConnErrorKind::Closed);
    } else if hyper.is_canceled() {
        // Dropped before anything of it was written. What is below is why the connection ended,
        // which may be another request's fault.
        context.set_unsent();
        context.set_certain(ConnErrorKind::Closed);
    } else if hyper.is_closed() || hyper.is_incomplete_message() {
        context.note(ConnErrorKind::Closed);
    } else if is_bounded(error) && hyper.is_timeout() {
        context.note(ConnErrorKind::Timeout);
    }
    Flow::Next
}

/// The connection ended before it was handed over to `hyper::upgrade::on`. hyper files that under
/// `is_canceled`, and has no predicate for it; its source is a private type, with this text.
fn is_upgrade(error: &HyperError) -> bool {
    let text = error.source().and_then(Text::of);
    text.is_some_and(|text| text.as_bytes() == b"upgrade expected but not completed")
}

/// The task that drives the connection was dropped, with requests in flight. hyper files that under
/// `is_user`, and has no predicate for it, so this (as `is_upgrade`) reads a text: hyper's
/// own and constant one, which nothing that came from elsewhere is part of.
fn is_dispatch_gone(error: &HyperError) -> bool {
    Text::of(error).is_some_and(|text| text.as_bytes() == b"dispatch task is gone")
}
