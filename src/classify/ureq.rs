//! ureq, whose error has no `source()`.
//!
//! It follows redirects, and nothing in the error tells which hop it is about, so nothing in it is
//! proof: a name that can't be resolved may be the one that the first server has sent it to.

use std::error::Error;

use ureq::Error as UreqError;

use super::context::Context;
use super::text::Text;
use super::walk::{Flow, cast};
use super::{ConnErrorKind, Outlook, openssl_reason};

/// What it says of a proxy that closes before it has answered. (ureq 3.5. What a proxy answers is in
/// another text.)
const SILENT_PROXY: &str = "proxy server did not respond";

/// How the `Debug` of `NativeTls` begins, which is there only with a feature of ureq's. With OpenSSL, the
/// handshake can be told from a mistake of the configuration, which comes across a request here.
#[cfg(not(any(target_os = "windows", target_vendor = "apple")))]
const NATIVE_TLS: &[u8] = b"NativeTls(Ssl(";
#[cfg(any(target_os = "windows", target_vendor = "apple"))]
const NATIVE_TLS: &[u8] = b"NativeTls(";

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
        UreqError::ConnectProxyFailed(why) if why == SILENT_PROXY => {
            context.note(ConnErrorKind::Closed);
        }
        other if is_native_tls(other) => {
            context.set_unproved();
            context.set_connecting();
            context.set_handshake(true);
            context.note(ConnErrorKind::Tls);
            let text = Text::start_of(format_args!("{other}"));
            if let Some(text) = text.as_bytes().strip_prefix(b"native-tls: ") {
                openssl_reason::note_shown(text, context);
            }
        }
        // A status, a URL, a limit, a header, the content.
        _ => return Flow::NotConn,
    }
    Flow::Stop
}

fn is_native_tls(error: &UreqError) -> bool {
    let shown = Text::start_of(format_args!("{error:?}"));
    shown.as_bytes().starts_with(NATIVE_TLS)
}
