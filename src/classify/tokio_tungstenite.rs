//! tokio-tungstenite: WebSockets.

use std::error::Error;

use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::{ProtocolError, UrlError};

use super::context::Context;
use super::text::Text;
use super::walk::{Flow, cast};
use super::{ConnErrorKind, openssl_reason};

/// How the text of its `TlsError::Native` begins, which has no `source()`, and is there only with a
/// feature of tungstenite's. (0.30. What rustls says in a handshake is an `io::Error`.)
const NATIVE_TLS: &[u8] = b"native-tls error: ";

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(ws) = cast::<WsError>(error) else {
        return Flow::Pass;
    };
    match ws {
        WsError::Io(io) => Flow::Into(io),
        WsError::Tls(tls) => {
            let text = Text::start_of(format_args!("{tls}"));
            let Some(text) = text.as_bytes().strip_prefix(NATIVE_TLS) else {
                // A bad name, or a mistake of rustls's configuration.
                return Flow::NotConn;
            };
            context.set_connecting();
            context.set_handshake(true);
            context.note(ConnErrorKind::Tls);
            openssl_reason::note_shown(text, context);
            Flow::Stop
        }
        // The peer has closed, with a close frame. Nothing more comes on this connection.
        WsError::ConnectionClosed | WsError::AlreadyClosed => {
            context.note(ConnErrorKind::Closed);
            Flow::Stop
        }
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
            context.note(ConnErrorKind::Closed);
            Flow::Stop
        }
        // The message comes after this side's close frame: it is not taken.
        WsError::Protocol(ProtocolError::SendAfterClosing) => {
            context.set_unsent();
            context.note(ConnErrorKind::Closed);
            Flow::Stop
        }
        // The connection ended before the answer to the HTTP request that opens the WebSocket. Messages come
        // later, but that request may have been read, and have done what its URL says.
        WsError::Protocol(ProtocolError::HandshakeIncomplete) => {
            context.note(ConnErrorKind::Closed);
            Flow::Stop
        }
        // No address of the host took the connection. Which error it was is not told.
        WsError::Url(UrlError::UnableToConnect(_)) => {
            context.set_connecting();
            context.note(ConnErrorKind::Other);
            Flow::Stop
        }
        // A status instead of a WebSocket, a bad URL, a message that is too large, bad frames.
        _ => Flow::NotConn,
    }
}
