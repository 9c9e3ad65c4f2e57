//! hyper-util's pooled client.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

use super::ConnErrorKind;
use super::context::Context;
use super::walk::{Flow, cast};

/// What the plain TCP connector fails with. Its type is not exported, but it can be named.
type TcpConnectError = <HttpConnector as Service<hyper::Uri>>::Error;

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    if let Some(client) = cast::<legacy::Error>(error) {
        context.set_hypers();
        if client.connect_info().is_none() {
            context.set_unsent();
        }
        if client.is_connect() {
            context.set_connecting();
            // If it is not TCP's (see below), then it is that of a layer above, which is TLS's.
            context.set_handshake(true);
            context.assume(client.source().map(|_| ConnErrorKind::Other));
        }
        return Flow::Next;
    }
    if let Some(connect) = cast::<TcpConnectError>(error) {
        context.set_connecting();
        context.set_handshake(false);
        return match connect.source() {
            // The system's calls fail with an io::Error; anything else is a custom resolver's.
            Some(source) if cast::<io::Error>(source).is_none() => {
                context.assume(Some(ConnErrorKind::Dns));
                Flow::Next
            }
            Some(_) => Flow::Next,
            // The only ones without a source: a URL without a host, or with another scheme.
            None => Flow::NotConn,
        };
    }
    Flow::Pass
}

/// Whether it is an error of hyper-util's pooled client.
pub(super) fn is_error(error: &(dyn Error + 'static)) -> bool {
    cast::<legacy::Error>(error).is_some()
}
