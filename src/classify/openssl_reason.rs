//! What OpenSSL says: its reason codes (`<openssl/sslerr.h>`, the same in 1.1 and 3), and how they come out
//! in the texts of native-tls, for the libraries that keep no more than these.

use super::context::Context;
use super::{ConnErrorKind, Outlook, alert};

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

/// What native-tls's text for a failed handshake says: OpenSSL's errors in the form of
/// `ERR_error_string(3)`, which has their codes in it, and after them, in parentheses, what came of the
/// certificate, if it was looked at. Nothing in it is the peer's. Elsewhere than with OpenSSL the text is
/// another, and nothing is said.
#[cfg(any(feature = "tokio-tungstenite", feature = "ureq"))]
pub(super) fn note_shown(text: &[u8], context: &mut Context) {
    if is_not_yet_valid(text) {
        context.note_outlook(ConnErrorKind::Tls, Outlook::Transient);
    } else if let Some(reason) = shown_reason(text) {
        note(reason, context);
    }
}

/// Whether it ends with X509_V_ERR_CERT_NOT_YET_VALID, as `X509_verify_cert_error_string(3)` of 1.1 and 3
/// has it.
pub(super) fn is_not_yet_valid(text: &[u8]) -> bool {
    text.ends_with(b" (certificate is not yet valid)")
}

/// The reason of the first error that is libssl's.
#[cfg(any(feature = "tokio-tungstenite", feature = "ureq"))]
fn shown_reason(text: &[u8]) -> Option<i32> {
    let mut errors = std::str::from_utf8(text).ok()?.strip_prefix("error:")?;
    loop {
        let code = u32::from_str_radix(errors.get(..8)?, 16).ok()?;
        let code = i32::try_from(code).unwrap_or(0); // the system's are negative
        if code >> 23 == LIBRARY_SSL {
            return Some(code & 0x7f_ffff); // 3
        }
        if code >> 24 == LIBRARY_SSL {
            return Some(code & 0xfff); // 1.1
        }
        (_, errors) = errors.split_once(", error:")?;
    }
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

#[cfg(all(test, any(feature = "tokio-tungstenite", feature = "ureq")))]
mod tests {
    use super::shown_reason;

    #[test]
    fn a_reason_is_libssls_in_its_own_form() {
        for (text, reason) in [
            (
                "error:0A000086:SSL routines:x:certificate verify failed:f:1:",
                Some(134),
            ),
            (
                "error:0A00010B:SSL routines:x:wrong version number:f:1:",
                Some(267),
            ),
            (
                "error:0A000418:SSL routines:x:tlsv1 alert unknown ca:f:1:SSL alert number 48",
                Some(1048),
            ),
            (
                "error:1416F086:SSL routines:x:certificate verify failed:f:1:",
                Some(134),
            ),
            (
                "error:80000002:system library:fopen:No such file or directory:f:1:",
                None,
            ),
            (
                "error:068000C6:asn1 encoding routines:x:EVP lib:f:1:, error:0A000086:SSL routines:x:x:f:1:",
                Some(134),
            ),
            (
                "error:068000C6:asn1 encoding routines:x:EVP lib:f:1:, error:",
                None,
            ),
            ("no error:0A000086:", None),
            ("error:", None),
            ("error:0A0000", None),
            ("unexpected EOF", None),
            ("", None),
        ] {
            assert_eq!(shown_reason(text.as_bytes()), reason, "{text}");
        }
    }
}
