//! curl, and so isahc, whose errors have curl's below them.
//!
//! Nothing is proof: curl follows redirects, and may have tried again by itself.

use std::error::Error;

use super::context::Context;
use super::walk::{Flow, cast};
use super::{ConnErrorKind, Outlook};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(curl) = cast::<curl::Error>(error) else {
        return Flow::Pass;
    };
    context.set_unproved();
    let said = curl.extra_description().unwrap_or_default();
    if curl.is_couldnt_resolve_host() || curl.is_couldnt_resolve_proxy() {
        context.note(ConnErrorKind::Dns);
    } else if curl.is_couldnt_connect() || curl.code() == PROXY {
        // Refused, unreachable, or turned away by a proxy: that is not told.
        context.note(ConnErrorKind::Other);
    } else if curl.is_operation_timedout() {
        context.note(ConnErrorKind::Timeout);
    } else if curl.is_peer_failed_verification() || curl.is_ssl_cacert() {
        let outlook = if NOT_VALID_YET.contains(&said) {
            Outlook::Transient
        } else {
            Outlook::Permanent
        };
        context.note_outlook(ConnErrorKind::Tls, outlook);
    } else if curl.is_ssl_connect_error() {
        // A reset, an end of stream, an alert: that is not told.
        context.note(ConnErrorKind::Tls);
    } else if curl.is_recv_error() && is_about_chunks(said) {
        return Flow::NotConn;
    } else if curl.is_got_nothing()
        || curl.is_partial_file()
        || curl.is_send_error()
        || curl.is_recv_error()
    {
        context.note(ConnErrorKind::Closed);
    } else {
        // An answer, the caller's own callbacks, options and files.
        return Flow::NotConn;
    }
    Flow::Stop
}

/// CURLE_PROXY, which has no predicate: a proxy's handshake.
const PROXY: u32 = 97;

/// libcurl's words, with OpenSSL's, in two versions: a clock that is not set yet.
const NOT_VALID_YET: [&str; 2] = [
    "SSL certificate problem: certificate is not yet valid",
    "SSL certificate OpenSSL verify result: certificate is not yet valid (9)",
];

/// An answer whose chunks are none has the same code as a broken connection, but these words, which
/// depend on the version.
fn is_about_chunks(said: &str) -> bool {
    said.starts_with("chunk hex-length")
        || said.starts_with("invalid chunk size")
        || said.ends_with(" in chunked-encoding")
}
