//! sqlx. A database's error is an answer, except for some [SQLSTATEs](super::sqlstate).

use std::error::Error;

use sqlx::Error as SqlxError;

use super::ConnErrorKind;
use super::context::Context;
use super::sqlstate::of_sqlstate;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(sqlx) = cast::<SqlxError>(error) else {
        return Flow::Pass;
    };
    match sqlx {
        SqlxError::Io(io) => Flow::Into(io),
        SqlxError::Tls(_) => {
            context.set_connecting();
            context.set_handshake(true);
            context.note(ConnErrorKind::Tls);
            Flow::Next
        }
        SqlxError::Database(answer) => match answer.code().as_deref().and_then(of_sqlstate) {
            Some(found) => {
                context.note_error(found);
                Flow::Stop
            }
            None => Flow::NotConn,
        },
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
