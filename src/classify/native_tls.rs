//! native-tls, and where it is OpenSSL, the reason codes that it hides.
//!
//! `native_tls::Error` is the handshake's error, and that of preparing one: with either, nothing was
//! sent. Later failures are `io::Error`s with an `openssl::ssl::Error` inside. Its `source()` skips
//! the `ssl::Error`: below it are the `io::Error` or the `ErrorStack` at once, or nothing if the
//! stream ended, so that this can't be told from a bad certificate file, which has no source
//! either. (No request comes across the latter: it fails when the client is built.) The
//! certificate's verification result can't be read, so "not valid yet" is not told from the other
//! faults. On Windows and Apple's systems nothing inside can be read.

use std::error::Error;

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    if cast::<native_tls::Error>(error).is_some() {
        context.set_unsent();
        context.set_handshake(true);
        context.note(ConnErrorKind::Tls);
        return Flow::Next;
    }
    inspect_openssl(error, context)
}

#[cfg(any(target_os = "windows", target_vendor = "apple"))]
fn inspect_openssl<'a>(_: &'a (dyn Error + 'static), _: &mut Context) -> Flow<'a> {
    Flow::Pass
}

#[cfg(not(any(target_os = "windows", target_vendor = "apple")))]
fn inspect_openssl<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    use openssl::error::ErrorStack;
    use openssl::ssl::{self, ErrorCode};

    if let Some(tls) = cast::<ssl::Error>(error) {
        context.set_content(false);
        if tls.code() == ErrorCode::ZERO_RETURN {
            context.note(ConnErrorKind::Closed);
        } else if tls.code() == ErrorCode::SYSCALL {
            // With an io::Error below, or else an end of stream.
            context.note(ConnErrorKind::Closed);
        } else if tls.code() == ErrorCode::SSL {
            context.note(ConnErrorKind::Tls);
        }
        return Flow::Next;
    }
    if let Some(stack) = cast::<ErrorStack>(error) {
        let mut reasons = stack
            .errors()
            .iter()
            .filter(|entry| entry.library_code() == openssl_reason::LIBRARY_SSL)
            .map(|entry| entry.reason_code());
        if let Some(reason) = reasons.next() {
            openssl_reason::note(reason, context);
        }
        return Flow::Stop;
    }
    Flow::Pass
}

/// The reason codes of OpenSSL's `<openssl/sslerr.h>`, the same in 1.1 and 3.
#[cfg(not(any(target_os = "windows", target_vendor = "apple")))]
mod openssl_reason {
    use super::super::{Outlook, alert};
    use super::{ConnErrorKind, Context};

    /// ERR_LIB_SSL.
    pub(super) const LIBRARY_SSL: i32 = 20;

    const UNEXPECTED_EOF_WHILE_READING: i32 = 294;
    const CERTIFICATE_VERIFY_FAILED: i32 = 134;
    /// A received alert is this plus its code (SSL_AD_REASON_OFFSET).
    const ALERT: i32 = 1000;

    pub(super) fn note(reason: i32, context: &mut Context) {
        let outlook = match reason {
            UNEXPECTED_EOF_WHILE_READING => return context.note(ConnErrorKind::Closed),
            CERTIFICATE_VERIFY_FAILED => Outlook::Permanent,
            reason if reason >= ALERT => {
                u8::try_from(reason - ALERT).map_or(Outlook::Transient, alert::outlook)
            }
            reason if context.is_handshake() && is_disagreement(reason) => Outlook::Permanent,
            _ => Outlook::Transient,
        };
        context.note_outlook(ConnErrorKind::Tls, outlook);
    }

    /// About versions, ciphers, keys, protocols, or a peer that does not speak TLS. Only in a
    /// handshake: later, a broken record may have the same code.
    fn is_disagreement(reason: i32) -> bool {
        matches!(
            reason,
            // WRONG_VERSION_NUMBER, WRONG_SSL_VERSION, UNSUPPORTED_PROTOCOL, UNKNOWN_PROTOCOL,
            // UNKNOWN_SSL_VERSION, VERSION_TOO_HIGH, VERSION_TOO_LOW, NO_PROTOCOLS_AVAILABLE
            267 | 266 | 258 | 252 | 254 | 166 | 396 | 191
            // NO_CIPHERS_AVAILABLE, NO_SHARED_CIPHER, UNKNOWN_CIPHER_RETURNED, WRONG_CIPHER_RETURNED
            | 181 | 193 | 248 | 261
            // NO_SUITABLE_KEY_SHARE, NO_SUITABLE_SIGNATURE_ALGORITHM, WRONG_SIGNATURE_TYPE
            | 101 | 118 | 370
            // DH_KEY_TOO_SMALL, CA_KEY_TOO_SMALL, CA_MD_TOO_WEAK, EE_KEY_TOO_SMALL,
            // UNSAFE_LEGACY_RENEGOTIATION_DISABLED
            | 394 | 397 | 398 | 399 | 338
            // HTTPS_PROXY_REQUEST, HTTP_REQUEST, PACKET_LENGTH_TOO_LONG
            | 155 | 156 | 198
        )
    }
}
