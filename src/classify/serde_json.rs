//! serde_json, as codecs use it: what a frame holds is content, and the frame came in whole.
//!
//! serde_json's own conversion into an `io::Error` calls content that ends too early an
//! `UnexpectedEof`, as a connection's end would be.

use std::error::Error;
use std::io;

use super::context::Context;
use super::io::note_system_error;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let inner = cast::<io::Error>(error).and_then(io::Error::get_ref);
    if let Some(json) = inner.and_then(|inner| cast::<serde_json::Error>(inner)) {
        return if json.is_io() {
            Flow::Next
        } else {
            Flow::NotConn
        };
    }
    // The reader's or the writer's own error: `source()` skips it.
    let kind = cast::<serde_json::Error>(error).and_then(serde_json::Error::io_error_kind);
    if let Some(kind) = kind {
        note_system_error(&io::Error::from(kind), context);
        return Flow::Stop;
    }
    Flow::Pass
}
