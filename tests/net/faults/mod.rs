//! A stream of requests goes through a fault of the network, and nothing is lost.

mod names;
mod path;
mod peer;
mod silence;
mod tls;

use libtest_mimic::Trial;
use tower_conn_retry::ConnErrorKind as Conn;
use tower_conn_retry::tcp::ErrorKind as At;

use crate::stream::Mode;
use crate::test;
use crate::witness::Sign;

type Fault = (&'static str, fn(Mode));

const FAULTS: &[Fault] = &[
    ("link_down", path::link_down),
    ("route_removed", path::route_removed),
    ("address_changed", path::address_changed),
    ("to_server_dropped", path::to_server_dropped),
    ("to_client_dropped", path::to_client_dropped),
    ("reset_injected", path::reset_injected),
    ("host_unreachable", path::host_unreachable),
    ("server_killed", peer::killed),
    ("server_replaced", peer::replaced),
    ("names_not_resolved", names::not_resolved),
    ("record_to_client_corrupted", tls::record_to_client),
    ("record_to_server_corrupted", tls::record_to_server),
];

pub(crate) fn all() -> Vec<Trial> {
    let mut all = vec![
        test("silence::unacknowledged", silence::unacknowledged),
        test("silence::idle", silence::idle),
        test("silence::route_removed", silence::route_removed),
        test("silence::unacknowledged_for_a_set_time", || {
            silence::unacknowledged_for_a_set_time();
        }),
        test("silence::idle_for_a_set_time", || {
            silence::idle_for_a_set_time();
        }),
    ];
    for &(name, fault) in FAULTS {
        let in_order = move || fault(Mode::InOrder);
        all.push(test(format!("faults::{name}::in_order"), in_order));
        let on_threads = move || fault(Mode::OnThreads);
        all.push(test(format!("faults::{name}::on_threads"), on_threads));
    }
    all
}

/// An attempt to connect took too long.
const NO_CONNECT: Sign = (At::ConnectTimeout, Conn::Timeout, 0);
/// What was sent was not acknowledged for too long, as the kernel found.
const UNACKNOWLEDGED: Sign = (At::Io, Conn::Timeout, libc::ETIMEDOUT);
/// The same, as only the client found: nothing can be sent, and the kernel goes on waiting.
const STALLED: Sign = (At::Io, Conn::Timeout, 0);
const RESET: Sign = (At::Io, Conn::Reset, libc::ECONNRESET);
const BROKEN_PIPE: Sign = (At::Io, Conn::BrokenPipe, libc::EPIPE);
const CLOSED: Sign = (At::Closed, Conn::Closed, 0);
const REFUSED: Sign = (At::Connect, Conn::Refused, libc::ECONNREFUSED);
const NO_ROUTE: Sign = (At::Connect, Conn::Unreachable, libc::ENETUNREACH);
const NO_HOST: Sign = (At::Connect, Conn::Unreachable, libc::EHOSTUNREACH);

/// The name does not resolve.
const NO_NAME: Sign = (At::Resolve, Conn::Dns, 0);
/// A record that can't be right.
const BAD_RECORD: Sign = (At::Io, Conn::Tls, 0);

/// The same on a connection that was being made.
const fn connecting((_, kind, errno): Sign) -> Sign {
    (At::Connect, kind, errno)
}

/// The same on a connection that was there.
const fn established((_, kind, errno): Sign) -> Sign {
    (At::Io, kind, errno)
}
