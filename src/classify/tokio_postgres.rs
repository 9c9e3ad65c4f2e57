//! tokio-postgres, by itself or below a pool.
//!
//! Its connection is a task of its own that knows what broke; the callers are told that it is closed,
//! and no more. What the server says is an answer, except for some [SQLSTATEs](super::sqlstate).

use std::error::Error;

use tokio_postgres::Error as PostgresError;

use super::ConnErrorKind;
use super::context::Context;
use super::sqlstate::of_sqlstate;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(postgres) = cast::<PostgresError>(error) else {
        return Flow::Pass;
    };
    if let Some(state) = postgres.code() {
        return match of_sqlstate(state.code()) {
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
    Flow::Next
}
