//! A stream of requests goes through a fault of the network, and nothing is lost.

mod names;
mod path;
mod peer;
mod silence;
mod tls;

use libtest_mimic::Trial;
use tower_conn_retry::ConnErrorKind as Conn;
use tower_conn_retry::tcp::ErrorKind as At;

use crate::test;
use crate::witness::Sign;

pub(crate) fn all() -> Vec<Trial> {
    vec![
        test("faults::link_down", path::link_down),
        test("faults::route_removed", path::route_removed),
        test("faults::address_changed", path::address_changed),
        test("faults::to_server_dropped", path::to_server_dropped),
        test("faults::to_client_dropped", path::to_client_dropped),
        test("faults::reset_injected", path::reset_injected),
        test(
            "faults::reset_injected_order_not_asked_for",
            path::reset_injected_order_not_asked_for,
        ),
        test("faults::host_unreachable", path::host_unreachable),
        test("faults::server_killed", peer::killed),
        test(
            "faults::server_killed_order_not_asked_for",
            peer::killed_order_not_asked_for,
        ),
        test("faults::server_replaced", peer::replaced),
        test("faults::names_not_resolved", names::not_resolved),
        test("faults::record_to_client_corrupted", tls::record_to_client),
        test("faults::record_to_server_corrupted", tls::record_to_server),
        test("faults::silence_unacknowledged", silence::unacknowledged),
        test("faults::silence_idle", silence::idle),
        test(
            "faults::silence_unacknowledged_for_a_set_time",
            silence::unacknowledged_for_a_set_time,
        ),
        test(
            "faults::silence_idle_for_a_set_time",
            silence::idle_for_a_set_time,
        ),
    ]
}

/// An attempt to connect took too long.
const NO_CONNECT: Sign = (At::Connect, Conn::Timeout, 0);
/// The same, where the whole took as long as the part.
const NO_CONNECT_AT_ALL: Sign = (At::ConnectTimeout, Conn::Timeout, 0);
/// What was sent was not acknowledged for too long.
const UNACKNOWLEDGED: Sign = (At::Io, Conn::Timeout, libc::ETIMEDOUT);
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

/// The same on a connection that was there.
const fn established((_, kind, errno): Sign) -> Sign {
    (At::Io, kind, errno)
}
