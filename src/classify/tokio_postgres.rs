//! tokio-postgres, by itself or below a pool.
//!
//! Its connection is a task of its own that knows what broke; the callers are told that it is closed,
//! and no more. What the server says is an answer, except for some [SQLSTATEs](super::sqlstate).

use std::error::Error;
use std::io;

use tokio_postgres::Error as PostgresError;
use tokio_postgres::error::{DbError, Severity as PostgresSeverity};

use super::context::Context;
use super::sqlstate::{Severity, of_sqlstate};
use super::text::Text;
use super::walk::{Flow, cast};
use super::{ConnErrorKind, Outlook};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(postgres) = cast::<PostgresError>(error) else {
        return Flow::Pass;
    };
    if let Some(answer) = postgres.as_db_error() {
        return match of_sqlstate(answer.code().code(), severity(answer)) {
            Some(found) => {
                context.note_error(found);
                Flow::Stop
            }
            None => Flow::NotConn,
        };
    }
    if postgres.is_closed() {
        context.note(ConnErrorKind::Closed);
        return Flow::Stop;
    }
    match Stage::of(postgres) {
        // That the server is only read from, or not read from, has a kind and no errno.
        Some(Stage::Connect) if is_made_up(postgres, io::ErrorKind::PermissionDenied) => {
            Flow::NotConn
        }
        Some(Stage::Connect) => {
            context.set_connecting();
            Flow::Next
        }
        Some(Stage::Handshake) => inspect_handshake(postgres, context),
        Some(Stage::Content) => Flow::NotConn,
        None => Flow::Next,
    }
}

/// A server before 9.6, or a proxy like PgBouncer, has it only in words, which are the server's language's.
fn severity(answer: &DbError) -> Severity {
    match (answer.parsed_severity(), answer.severity()) {
        (Some(PostgresSeverity::Fatal | PostgresSeverity::Panic), _) => Severity::Fatal,
        (Some(_), _) => Severity::Error,
        (None, "FATAL" | "PANIC") => Severity::Fatal,
        (None, "ERROR") => Severity::Error,
        (None, _) => Severity::Unknown,
    }
}

/// What it was about. There is no predicate, so this goes by how tokio-postgres's own constant texts
/// begin. (Up to 0.7.14 the cause's text comes after them, since 0.7.15 nothing.)
enum Stage {
    Connect,
    Handshake,
    /// The values of the caller's, whose own code fails with whatever it likes; or an intact message that
    /// can't be read.
    Content,
}

impl Stage {
    fn of(error: &PostgresError) -> Option<Self> {
        let shown = Text::start_of(format_args!("{error}"));
        let begins = |text: &str| shown.as_bytes().starts_with(text.as_bytes());
        if begins("error connecting to server") {
            Some(Self::Connect)
        } else if begins("error performing TLS handshake") {
            Some(Self::Handshake)
        } else if begins("error serializing parameter ")
            || begins("error deserializing column ")
            || begins("error encoding message to server")
            || begins("error parsing response from server")
        {
            Some(Self::Content)
        } else {
            None
        }
    }
}

fn is_made_up(error: &PostgresError, kind: io::ErrorKind) -> bool {
    let io = error.source().and_then(cast::<io::Error>);
    io.is_some_and(|io| io.kind() == kind && io.raw_os_error().is_none())
}

/// The TLS library's error is below, or one of tokio-postgres's own, which are constant texts
/// (0.7.13 to 0.7.18).
fn inspect_handshake<'a>(error: &PostgresError, context: &mut Context) -> Flow<'a> {
    let cause = error.source().and_then(Text::of);
    match cause.as_ref().map(Text::as_bytes) {
        Some(b"server does not support TLS") => {
            context.set_connecting();
            context.note_outlook(ConnErrorKind::Tls, Outlook::Permanent);
            return Flow::Stop;
        }
        // Mistakes of the configuration.
        Some(
            b"no TLS implementation configured"
            | b"no hostname provided for TLS handshake"
            | b"weak sslmode \"prefer\" may not be used with sslnegotiation=direct (use \"require\")",
        ) => return Flow::NotConn,
        _ => {}
    }
    context.set_connecting();
    context.set_handshake(true);
    context.note(ConnErrorKind::Tls);
    Flow::Next
}
