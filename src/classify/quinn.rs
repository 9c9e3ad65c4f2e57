//! quinn: QUIC (RFC 9000).
//!
//! Nothing is proof: data may go with the handshake (0-RTT). What ends a stream only is no connection
//! error, even where quinn's own conversion into an `io::Error` calls it a reset.

use std::error::Error;

use quinn::{ConnectionError, ReadError, ReadExactError, TransportErrorCode, WriteError};

use super::context::Context;
use super::walk::{Flow, cast};
use super::{ConnErrorKind, Outlook, alert};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    if let Some(read) = cast::<ReadExactError>(error) {
        return match read {
            // As an end of stream is anywhere, and as it is through `AsyncRead`.
            ReadExactError::FinishedEarly(_) => {
                context.set_unproved();
                context.note(ConnErrorKind::Closed);
                Flow::Stop
            }
            ReadExactError::ReadError(read) => Flow::Into(read),
        };
    }
    if let Some(read) = cast::<ReadError>(error) {
        return match read {
            ReadError::ConnectionLost(lost) => Flow::Into(lost),
            _ => Flow::NotConn,
        };
    }
    if let Some(write) = cast::<WriteError>(error) {
        return match write {
            WriteError::ConnectionLost(lost) => Flow::Into(lost),
            _ => Flow::NotConn,
        };
    }
    let Some(lost) = cast::<ConnectionError>(error) else {
        return Flow::Pass;
    };
    context.set_unproved();
    match lost {
        ConnectionError::TimedOut => context.note(ConnErrorKind::Timeout),
        // The peer does not know of the connection any more.
        ConnectionError::Reset => context.note(ConnErrorKind::Reset),
        ConnectionError::ConnectionClosed(close)
            if close.error_code == TransportErrorCode::CONNECTION_REFUSED =>
        {
            context.note(ConnErrorKind::Refused);
        }
        ConnectionError::ConnectionClosed(close) => match alert_of(close.error_code) {
            Some(alert) => context.note_outlook(ConnErrorKind::Tls, alert::outlook(alert)),
            None => context.note(ConnErrorKind::Closed),
        },
        ConnectionError::ApplicationClosed(_) | ConnectionError::LocallyClosed => {
            context.note(ConnErrorKind::Closed);
        }
        ConnectionError::TransportError(own) => match alert_of(own.code) {
            Some(alert) => {
                let outlook = of_certificate(&own.reason).unwrap_or(alert::outlook(alert));
                context.note_outlook(ConnErrorKind::Tls, outlook);
            }
            // A peer that breaks the protocol.
            None => return Flow::NotConn,
        },
        // No common version, no connection ids left.
        _ => return Flow::NotConn,
    }
    Flow::Stop
}

/// By this side's own words, which are rustls's: the alerts do not tell a clock that is not set yet from
/// a certificate that has expired, or a wrong signature from a damaged record.
fn of_certificate(reason: &str) -> Option<Outlook> {
    let fault = reason.strip_prefix("invalid peer certificate: ")?;
    Some(if fault.starts_with("certificate not valid yet") {
        Outlook::Transient
    } else {
        Outlook::Permanent
    })
}

/// §20.1: CRYPTO_ERROR.
fn alert_of(code: TransportErrorCode) -> Option<u8> {
    u8::try_from(u64::from(code).checked_sub(0x100)?).ok()
}
