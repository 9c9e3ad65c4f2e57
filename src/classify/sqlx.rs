//! sqlx, of both versions that are in use. A database's error is an answer, except for some
//! [SQLSTATEs](super::sqlstate).

use std::error::Error;
use std::fmt::Debug;

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

/// The types of different versions are different ones.
macro_rules! look {
    ($sqlx:ident, $error:expr, $context:expr) => {
        match $error {
            $sqlx::Error::Io(io) => Flow::Into(io),
            $sqlx::Error::Tls(tls) => {
                $context.set_connecting();
                if Text::of(tls).is_some_and(|text| text.as_bytes() == NO_TLS) {
                    $context.note_outlook(ConnErrorKind::Tls, Outlook::Permanent);
                    return Flow::Stop;
                }
                $context.set_handshake(true);
                $context.note(ConnErrorKind::Tls);
                Flow::Next
            }
            $sqlx::Error::Database(answer) => {
                let code = answer.code();
                match code.and_then(|code| of_sqlstate(&code, severity(answer))) {
                    Some(found) => {
                        $context.note_error(found);
                        Flow::Stop
                    }
                    None => Flow::NotConn,
                }
            }
            $sqlx::Error::Protocol(text) if text.starts_with(NO_ANSWER) => {
                $context.set_connecting();
                $context.note(ConnErrorKind::Closed);
                Flow::Stop
            }
            // All connections are in use, or none could be made: what came before is not told.
            $sqlx::Error::PoolTimedOut => {
                $context.note(ConnErrorKind::Timeout);
                Flow::Stop
            }
            $sqlx::Error::WorkerCrashed => {
                $context.note(ConnErrorKind::Closed);
                Flow::Stop
            }
            // The statement, the row, or the program.
            _ => Flow::NotConn,
        }
    };
}

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    #[cfg(feature = "sqlx")]
    if let Some(found) = cast::<sqlx::Error>(error) {
        return look!(sqlx, found, context);
    }
    #[cfg(feature = "sqlx-0-8")]
    if let Some(found) = cast::<sqlx_0_8::Error>(error) {
        return look!(sqlx_0_8, found, context);
    }
    Flow::Pass
}

/// Of PostgreSQL's; that of other databases is not told. `DatabaseError` has no severity, and the driver's
/// own type is there only with a feature of sqlx's. But `Debug` begins with both (in sqlx 0.8 and 0.9),
/// before anything that a statement says.
fn severity(answer: &impl Debug) -> Severity {
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
