//! tokio-tungstenite: WebSockets.

use std::error::Error;

use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::{ProtocolError, UrlError};

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(ws) = cast::<WsError>(error) else {
        return Flow::Pass;
    };
    match ws {
        WsError::Io(io) => Flow::Into(io),
        WsError::Tls(_) => Flow::Next,
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
        // The connection ended in the HTTP request that opens it; messages come later.
        WsError::Protocol(ProtocolError::HandshakeIncomplete) => {
            context.set_connecting();
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
