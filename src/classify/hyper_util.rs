//! hyper-util's pooled client, and its connectors through proxies.

use std::error::Error;
use std::io;

use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use tower_service::Service;

use super::context::Context;
use super::text::Text;
use super::walk::{Flow, cast};
use super::{ConnErrorKind, Outlook};

/// What the plain TCP connector fails with. Its type is not exported, but it can be named.
type TcpConnectError = <HttpConnector as Service<hyper::Uri>>::Error;

/// The same of the connectors through proxies, whatever they connect with, and through SOCKS proxies
/// by plain TCP. What their variants are is not to be relied upon; their texts are constants.
type TunnelError = <Tunnel<HttpConnector> as Service<hyper::Uri>>::Error;
type SocksError = <SocksV5<HttpConnector> as Service<hyper::Uri>>::Error;

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
    if let Some(tunnel) = cast::<TunnelError>(error) {
        return inspect_tunnel(tunnel, context);
    }
    if let Some(socks) = cast::<SocksError>(error) {
        context.set_connecting();
        let outlook = match Text::of(socks).as_ref().map(Text::as_bytes) {
            Some(
                b"SOCKS error: credentials not accepted"
                | b"SOCKS error: server does not support user/pass authentication",
            ) => Outlook::Permanent,
            _ => Outlook::Transient,
        };
        context.note_outlook(ConnErrorKind::Other, outlook);
        return Flow::Stop; // it has no source
    }
    Flow::Pass
}

fn inspect_tunnel<'a>(tunnel: &TunnelError, context: &mut Context) -> Flow<'a> {
    context.set_connecting();
    match Text::of(tunnel).as_ref().map(Text::as_bytes) {
        // Whose credentials are wrong, or missing.
        Some(b"tunnel error: proxy authorization required") => {
            context.note_outlook(ConnErrorKind::Other, Outlook::Permanent);
            Flow::Stop
        }
        Some(b"tunnel error: unexpected end of file") => {
            context.set_handshake(false);
            context.note(ConnErrorKind::Closed);
            Flow::Stop
        }
        Some(b"tunnel error: missing destination host") => Flow::NotConn,
        Some(b"tunnel error: io error establishing tunnel") => {
            context.set_handshake(false);
            Flow::Next
        }
        // Another answer of the proxy's; or it could not be connected to, which is below.
        _ => {
            context.assume(Some(ConnErrorKind::Other));
            Flow::Next
        }
    }
}

/// Whether it is an error of hyper-util's pooled client.
pub(super) fn is_error(error: &(dyn Error + 'static)) -> bool {
    cast::<legacy::Error>(error).is_some()
}
