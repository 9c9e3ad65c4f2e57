//! h2: the errors of HTTP/2 streams and connections (RFC 9113).

use std::error::Error;

use h2::Reason;

use super::context::Context;
use super::walk::{Flow, cast};
use super::{ConnError, ConnErrorKind, Sent};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(h2) = cast::<h2::Error>(error) else {
        return Flow::Pass;
    };
    context.set_content(false);
    // An h2::Error has no source(). The io::Error in it has a kind that may be made up, and no
    // errno.
    if let Some(io) = h2.get_io() {
        context.set_below_h2();
        return Flow::Into(io);
    }
    if !h2.is_remote() {
        // Detected on this side: a peer that breaks the protocol, or a mistake of the caller's.
        return Flow::NotConn;
    }
    let closed = ConnError::new(ConnErrorKind::Closed);
    if h2.is_go_away() {
        // §6.8. h2 gives a received GOAWAY only to streams above the last one, and to requests that
        // would have come after it: those were not processed. But it also is the connection's own
        // result, unless its reason is NO_ERROR, so that a bare error may be about any stream.
        //
        // A strict walk does not believe hyper (looked at: 1.12, `proto/h2/client.rs`). That asks h2
        // for the connection's state *after* it has queued a request, and gives the request what it
        // hears: any GOAWAY that was read meanwhile by another thread, while h2 goes on to send the
        // request. The connections of this crate see to it that nobody reads meanwhile.
        let by_reason = h2.reason() == Some(Reason::NO_ERROR) && !context.is_in_doubt();
        context.note_error(if context.is_per_stream() || by_reason {
            closed.with_sent(Sent::No)
        } else {
            closed
        });
        return Flow::Stop;
    }
    // §8.7.
    if h2.reason() == Some(Reason::REFUSED_STREAM) {
        context.note_error(closed.with_sent(Sent::No));
        return Flow::Stop;
    }
    // Any other RST_STREAM ends this one stream, over a connection that works.
    Flow::NotConn
}
