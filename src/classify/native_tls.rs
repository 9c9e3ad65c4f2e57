//! native-tls, and where it is OpenSSL, the reason codes that it hides.
//!
//! `native_tls::Error` is the handshake's error, and that of preparing one: with either, nothing was
//! sent. Later failures are `io::Error`s with an `openssl::ssl::Error` inside. Its `source()` skips
//! the `ssl::Error`: below it are the `io::Error` or the `ErrorStack` at once, or nothing if the
//! stream ended. A bad certificate file has `Normal` as its `Debug`. What came of
//! the certificate is in the text only. On Windows and Apple's systems nothing inside can be read.

use std::error::Error;

use super::ConnErrorKind;
use super::context::Context;
use super::text::Text;
#[cfg(not(any(target_os = "windows", target_vendor = "apple")))]
use super::walk::below;
use super::walk::{Flow, cast};
use super::{Outlook, openssl_reason};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    if cast::<native_tls::Error>(error).is_some() {
        if is_bad_file(error) {
            return Flow::NotConn;
        }
        context.set_unsent();
        context.set_handshake(true);
        let text = Text::of(error);
        if text.is_some_and(|text| openssl_reason::is_not_yet_valid(text.as_bytes())) {
            // Below is only that it failed.
            context.note_outlook(ConnErrorKind::Tls, Outlook::Transient);
            return Flow::Stop;
        }
        context.note(ConnErrorKind::Tls);
        return Flow::Next;
    }
    inspect_openssl(error, context)
}

/// A certificate or key that can't be read: not within an error of a connection's (its `Debug` begins with
/// `Ssl(`), but OpenSSL's errors by themselves, of which none is libssl's.
#[cfg(not(any(target_os = "windows", target_vendor = "apple")))]
fn is_bad_file(error: &(dyn Error + 'static)) -> bool {
    use openssl::error::ErrorStack;

    let shown = Text::start_of(format_args!("{error:?}"));
    let stack = below(error).and_then(cast::<ErrorStack>);
    let is_libssl = |stack: &ErrorStack| {
        let mut errors = stack.errors().iter();
        errors.any(|entry| entry.library_code() == openssl_reason::LIBRARY_SSL)
    };
    shown.as_bytes().starts_with(b"Normal(") && stack.is_none_or(|stack| !is_libssl(stack))
}

#[cfg(any(target_os = "windows", target_vendor = "apple"))]
fn is_bad_file(_: &(dyn Error + 'static)) -> bool {
    false
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
