//! lapin: AMQP 0-9-1.
//!
//! Nothing is proof: it may connect again by itself, and what broke then is also told to those whose
//! messages were sent before.

use std::error::Error;

use lapin::protocol::{AMQPErrorKind, AMQPHardError};
use lapin::{ChannelState, ErrorKind};

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(lapin) = cast::<lapin::Error>(error) else {
        return Flow::Pass;
    };
    context.set_unproved();
    match lapin.kind() {
        ErrorKind::IOError(io) => return Flow::Into(&**io),
        ErrorKind::MissingHeartbeatError => context.note(ConnErrorKind::Timeout),
        ErrorKind::InvalidConnectionState(_) => context.note(ConnErrorKind::Closed),
        // It ended with the connection, or after an error of its own: in either case there has to be
        // another one.
        ErrorKind::InvalidChannelState(
            ChannelState::Reconnecting
            | ChannelState::Closing
            | ChannelState::Closed
            | ChannelState::Error,
            _,
        ) => context.note(ConnErrorKind::Closed),
        // "An operator intervened to close the connection": a broker that shuts down.
        ErrorKind::ProtocolError(said)
            if *said.kind() == AMQPErrorKind::Hard(AMQPHardError::CONNECTIONFORCED) =>
        {
            context.note(ConnErrorKind::Closed);
        }
        // Whatever else the broker says, bad frames, and mistakes.
        _ => return Flow::NotConn,
    }
    Flow::Stop
}
