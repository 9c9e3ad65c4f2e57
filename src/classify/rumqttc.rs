//! rumqttc: MQTT 3.1.1 and 5.
//!
//! What it fails with comes from the event loop, which connects again by itself and sends again what
//! was not acknowledged. No such error is that of one message, so that nothing in it is proof.

use std::error::Error;

use rumqttc::v5::mqttbytes::v5::{ConnectReturnCode, DisconnectReasonCode};
use rumqttc::{mqttbytes, v5};

use super::ConnErrorKind;
use super::context::Context;
use super::text::Text;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    if let Some(connection) = cast::<rumqttc::ConnectionError>(error) {
        return inspect_v4(connection, context);
    }
    if let Some(connection) = cast::<v5::ConnectionError>(error) {
        return inspect_v5(connection, context);
    }
    // The event loop has ended, and hands the message back. (Where it is merely full, it is a
    // `TryRequest`, too.)
    let handed_back = matches!(
        cast::<rumqttc::ClientError>(error),
        Some(rumqttc::ClientError::Request(_))
    ) || matches!(
        cast::<v5::ClientError>(error),
        Some(v5::ClientError::Request(_))
    );
    if handed_back {
        context.set_unsent();
        context.note(ConnErrorKind::Closed);
        return Flow::Stop;
    }
    Flow::Pass
}

#[allow(unreachable_patterns)] // which variants there are is a matter of rumqttc's features
fn inspect_v4<'a>(error: &'a rumqttc::ConnectionError, context: &mut Context) -> Flow<'a> {
    use rumqttc::{ConnectReturnCode, ConnectionError, StateError};
    context.set_unproved();
    match error {
        ConnectionError::Io(io) => return Flow::Into(io),
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => {
            context.note(ConnErrorKind::Timeout);
        }
        ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable) => {
            context.note(ConnErrorKind::Refused);
        }
        ConnectionError::MqttState(state) => match state {
            StateError::Io(io) => return Flow::Into(io),
            StateError::AwaitPingResp => context.note(ConnErrorKind::Timeout),
            StateError::ConnectionAborted => context.note(ConnErrorKind::Closed),
            StateError::Deserialization(mqttbytes::Error::Io(io)) => return Flow::Into(io),
            // Bad packets; acknowledgements that are missing while the broker answers pings.
            _ => return Flow::NotConn,
        },
        ConnectionError::ConnectionRefused(_)
        | ConnectionError::NotConnAck(_)
        | ConnectionError::RequestsDone => return Flow::NotConn,
        // TLS, WebSockets, a proxy: by what is below.
        other => return inspect_other(other, context),
    }
    Flow::Stop
}

#[allow(unreachable_patterns)]
fn inspect_v5<'a>(error: &'a v5::ConnectionError, context: &mut Context) -> Flow<'a> {
    use v5::{ConnectionError, StateError};
    context.set_unproved();
    match error {
        ConnectionError::Io(io) => return Flow::Into(io),
        ConnectionError::Timeout(elapsed) => return Flow::Into(elapsed),
        ConnectionError::ConnectionRefused(code) => return refused(*code, context),
        ConnectionError::MqttState(state) => match state {
            StateError::Io(io) => return Flow::Into(io),
            StateError::AwaitPingResp => context.note(ConnErrorKind::Timeout),
            StateError::ConnectionAborted => context.note(ConnErrorKind::Closed),
            StateError::Deserialization(error) => return Flow::Into(error),
            StateError::ConnFail { reason } => return refused(*reason, context),
            StateError::ServerDisconnect { reason_code, .. } => {
                return disconnected(*reason_code, context);
            }
            _ => return Flow::NotConn,
        },
        ConnectionError::NotConnAck(_) | ConnectionError::RequestsDone => return Flow::NotConn,
        other => return inspect_other(other, context),
    }
    Flow::Stop
}

/// One that is there only with a feature of rumqttc's. Which one it is says how its derived `Debug` begins.
fn inspect_other<'a>(error: &(dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    // The handshake. (What comes later is an `io::Error`.)
    let shown = Text::start_of(format_args!("{error:?}"));
    if shown.as_bytes().starts_with(b"Tls(") {
        context.set_connecting();
        context.set_handshake(true);
    }
    Flow::Next
}

/// A broker that takes no connection for now (MQTT 5, §3.2.2.2).
fn refused<'a>(code: ConnectReturnCode, context: &mut Context) -> Flow<'a> {
    match code {
        ConnectReturnCode::ServiceUnavailable
        | ConnectReturnCode::ServerUnavailable
        | ConnectReturnCode::ServerBusy
        | ConnectReturnCode::ConnectionRateExceeded => {
            context.note(ConnErrorKind::Refused);
            Flow::Stop
        }
        _ => Flow::NotConn,
    }
}

/// A broker that takes the connection away, for no fault of the client's (MQTT 5, §3.14.2.1).
fn disconnected<'a>(code: DisconnectReasonCode, context: &mut Context) -> Flow<'a> {
    match code {
        DisconnectReasonCode::KeepAliveTimeout => context.note(ConnErrorKind::Timeout),
        DisconnectReasonCode::ServerBusy
        | DisconnectReasonCode::ServerShuttingDown
        | DisconnectReasonCode::ConnectionRateExceeded
        | DisconnectReasonCode::MaximumConnectTime => context.note(ConnErrorKind::Closed),
        _ => return Flow::NotConn,
    }
    Flow::Stop
}
