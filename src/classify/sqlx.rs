//! sqlx. A database's error is an answer, except for some [SQLSTATEs](super::sqlstate).

use std::error::Error;

use sqlx::Error as SqlxError;
use sqlx::error::DatabaseError;

use super::context::Context;
use super::sqlstate::{Severity, of_sqlstate};
use super::text::Text;
use super::walk::{Flow, cast};
use super::{ConnErrorKind, Outlook};

/// What PostgreSQL's driver says where the stream ends instead of an answer to the question for TLS: it
/// looks at a byte that it has not read, which is 0 then. (A server that is one never says 0.) In sqlx 0.8
/// and 0.9; the place in its source comes after it.
const NO_ANSWER: &str = "unexpected response from SSLRequest: 0x00 ";

/// What both drivers say where the server has no TLS, but the options require it. In sqlx 0.8 and 0.9.
const NO_TLS: &[u8] = b"server does not support TLS";

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(sqlx) = cast::<SqlxError>(error) else {
        return Flow::Pass;
    };
    match sqlx {
        SqlxError::Io(io) => Flow::Into(io),
        SqlxError::Tls(tls) => {
            context.set_connecting();
            if Text::of(tls).is_some_and(|text| text.as_bytes() == NO_TLS) {
                context.note_outlook(ConnErrorKind::Tls, Outlook::Permanent);
                return Flow::Stop;
            }
            context.set_handshake(true);
            context.note(ConnErrorKind::Tls);
            Flow::Next
        }
        SqlxError::Database(answer) => {
            let code = answer.code();
            let found = code.and_then(|code| of_sqlstate(&code, severity(&**answer)));
            match found {
                Some(found) => {
                    context.note_error(found);
                    Flow::Stop
                }
                None => Flow::NotConn,
            }
        }
        SqlxError::Protocol(text) if text.starts_with(NO_ANSWER) => {
            context.set_connecting();
            context.note(ConnErrorKind::Closed);
            Flow::Stop
        }
        // All connections are in use, or none could be made: what came before is not told.
        SqlxError::PoolTimedOut => {
            context.note(ConnErrorKind::Timeout);
            Flow::Stop
        }
        SqlxError::WorkerCrashed => {
            context.note(ConnErrorKind::Closed);
            Flow::Stop
        }
        // The statement, the row, or the program.
        _ => Flow::NotConn,
    }
}

/// Of PostgreSQL's; that of other databases is not told. `DatabaseError` has no severity, and the driver's
/// own type is there only with a feature of sqlx's. But `Debug` begins with both (in sqlx 0.8 and 0.9),
/// before anything that a statement says.
fn severity(answer: &dyn DatabaseError) -> Severity {
    let shown = Text::start_of(format_args!("{answer:?}"));
    let severity = shown
        .as_bytes()
        .strip_prefix(b"PgDatabaseError { severity: ");
    match severity {
        Some(severity) if severity.starts_with(b"Fatal,") || severity.starts_with(b"Panic,") => {
            Severity::Fatal
        }
        Some(_) => Severity::Error,
        None => Severity::Unknown,
    }
}
