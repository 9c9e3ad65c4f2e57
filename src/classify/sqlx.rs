//! sqlx, of both versions that are in use. A database's error is an answer, except for some
//! [SQLSTATEs](super::sqlstate).

use std::error::Error;

use super::ConnErrorKind;
use super::context::Context;
use super::sqlstate::of_sqlstate;
use super::walk::{Flow, cast};

macro_rules! look {
    ($sqlx:ident, $error:expr, $context:expr) => {
        match $error {
            $sqlx::Error::Io(io) => Flow::Into(io),
            $sqlx::Error::Tls(_) => {
                $context.set_connecting();
                $context.set_handshake(true);
                $context.note(ConnErrorKind::Tls);
                Flow::Next
            }
            $sqlx::Error::Database(answer) => {
                match answer.code().as_deref().and_then(of_sqlstate) {
                    Some(found) => {
                        $context.note_error(found);
                        Flow::Stop
                    }
                    None => Flow::NotConn,
                }
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
