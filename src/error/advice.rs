//! What to do.

use super::Inner;
use crate::{ConnErrorKind as Kind, Outlook, Reason};

/// What helps against this very failure: with the request, with the layer's settings, or else with
/// the peer and the network.
pub(super) fn advice(error: &Inner) -> Option<&'static str> {
    match error.reason {
        Reason::NotIdempotent if error.redirect_doubt => Some(
            "to have such a request replayed, let the client follow no redirects (reqwest: \
             `redirect::Policy::none()`, `retry::never()`) and promise `.redirects_off()`, or give it an \
             `Idempotency-Key` header",
        ),
        Reason::NotIdempotent => Some(
            "to have such a request replayed, give it an idempotency key that the peer honours",
        ),
        Reason::NotReplayable => Some(
            "to have such a request replayed, give it a body that can be copied: bytes, no stream and no \
             multipart form; or keep what is read of it with a (larger) `ReplayBodyLayer`",
        ),
        Reason::Poisoned => Some("look for what is special about it in the peer's log"),
        Reason::Deferred
        | Reason::NotStored
        | Reason::Closed
        | Reason::NotConnError
        | Reason::PolicyFailed => None,
        Reason::QueueFull | Reason::GaveUp | Reason::AttemptsExhausted | Reason::Permanent => {
            let found = error.conn_error?;
            about(found.kind(), found.outlook())
        }
    }
}

fn about(kind: Kind, outlook: Outlook) -> Option<&'static str> {
    Some(match (kind, outlook) {
        (Kind::Refused, _) => "nobody listens there: is the server running?",
        (Kind::Reset | Kind::Aborted | Kind::BrokenPipe | Kind::NotConnected | Kind::Closed, _) => {
            "connections open and break: see the peer's log, and that of a proxy in between"
        }
        (Kind::Unreachable, _) => "there is no way to it: check the address, routes and firewalls",
        (Kind::NetworkDown, _) => "check this machine's network",
        (Kind::AddressUnavailable, _) => "this machine has no local address or port left for it",
        (Kind::Dns, Outlook::Transient) => "check this machine's name servers",
        (Kind::Dns, Outlook::Permanent) => "check the address, and the host's name in it",
        (Kind::Tls, Outlook::Transient) => "TLS breaks off: see the peer's log",
        (Kind::Tls, Outlook::Permanent) => {
            "check the certificate, the name, the TLS version, and whether the peer speaks TLS at all"
        }
        (Kind::Timeout, _) => "it is silent: is it overloaded, or does a firewall drop packets?",
        (Kind::Local, Outlook::Transient) => "this machine has no descriptors or memory left",
        (Kind::Local, Outlook::Permanent) => "this machine forbids it: permissions, or a firewall",
        (Kind::Other, _) => return None,
    })
}
