//! ureq, whose error has no `source()`.
//!
//! It follows redirects, and nothing in the error tells which hop it is about, so nothing in it is
//! proof: a name that can't be resolved may be the one that the first server has sent it to.

use std::error::Error;

use ureq::Error as UreqError;

use super::context::Context;
use super::walk::{Flow, cast};
use super::{ConnErrorKind, Outlook};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(ureq) = cast::<UreqError>(error) else {
        return Flow::Pass;
    };
    match ureq {
        // The caller's own body fails in the same way, and can't be told.
        UreqError::Io(io) => {
            context.set_unproved();
            return Flow::Into(io);
        }
        UreqError::Timeout(_) => context.note(ConnErrorKind::Timeout),
        UreqError::HostNotFound => context.note_outlook(ConnErrorKind::Dns, Outlook::Permanent),
        // No connector made a connection.
        UreqError::ConnectionFailed => context.note(ConnErrorKind::Other),
        // A status, a URL, a limit, a header, the content.
        _ => return Flow::NotConn,
    }
    Flow::Stop
}
