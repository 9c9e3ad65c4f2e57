//! The Redis client. Most of its errors have the `io::Error` below them; the others are told by
//! predicates. What the server answered (`LOADING`, `READONLY`, `MOVED`, …) is an answer.
//!
//! Nothing is proof: the client of a cluster tries again by itself, on another node, and the error is
//! that of the last attempt.

use std::error::Error;

use redis::{ErrorKind, RedisError};

use super::ConnErrorKind;
use super::context::Context;
use super::text::Text;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(redis) = cast::<RedisError>(error) else {
        return Flow::Pass;
    };
    context.set_unproved();
    match redis.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => return Flow::NotConn,
        // No node of the cluster that it could be sent to has a connection.
        ErrorKind::ClusterConnectionNotFound => context.note(ConnErrorKind::NotConnected),
        _ if redis.is_timeout() => context.note(ConnErrorKind::Timeout),
        _ if redis.is_connection_refusal() => context.note(ConnErrorKind::Refused),
        // With or without an io::Error below: the task of a shared connection has gone, say.
        _ if redis.is_connection_dropped() => context.note(ConnErrorKind::Closed),
        ErrorKind::Parse if is_cut_off(redis) => {
            context.note(ConnErrorKind::Closed);
            return Flow::Stop;
        }
        _ => {}
    }
    Flow::Next
}

/// Whether the stream ended within an answer. There is no predicate for it; the parser's text has a
/// line that says so. (Of what came it shows but numbers.)
fn is_cut_off(error: &RedisError) -> bool {
    let text = Text::start_of(format_args!("{error}"));
    let mut lines = text.as_bytes().split(|&byte| byte == b'\n');
    lines.any(|line| line == b"Unexpected end of input")
}
