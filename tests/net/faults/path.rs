//! Faults of the path.

use super::{NO_CONNECT, NO_CONNECT_AT_ALL, NO_HOST, NO_ROUTE, RESET, UNACKNOWLEDGED, established};
use crate::lan::{Lan, SERVICE};
use crate::server::{Ledger, Protocol, Server};
use crate::stream::{Plan, Stream};
use crate::table;

struct Test {
    lan: Lan,
    ledger: Ledger,
    stream: Stream,
    _server: Server,
}

fn start() -> Test {
    start_with(Plan::default())
}

fn start_with(plan: Plan) -> Test {
    let lan = Lan::new();
    let ledger = Ledger::default();
    let server = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
    let stream = Stream::start(&lan.client, plan);
    Test {
        lan,
        ledger,
        stream,
        _server: server,
    }
}

pub(crate) fn link_down() {
    let Test {
        lan,
        ledger,
        mut stream,
        _server,
    } = start();
    stream.fault(|| lan.client.sh("ip link set eth0 down"));
    stream.await_failed(3, &[NO_ROUTE]);
    stream.heal(|| {
        lan.client
            .sh("ip link set eth0 up; ip route add default via 10.1.0.1");
    });
    let signs = [NO_ROUTE, established(NO_ROUTE), UNACKNOWLEDGED];
    table::add(stream.finish(&ledger, "link down and up", &signs));
}

pub(crate) fn route_removed() {
    let Test {
        lan,
        ledger,
        mut stream,
        _server,
    } = start();
    stream.fault(|| lan.client.sh("ip route delete default"));
    stream.await_failed(3, &[NO_ROUTE]);
    stream.heal(|| lan.client.sh("ip route add default via 10.1.0.1"));
    let signs = [NO_ROUTE, established(NO_ROUTE), UNACKNOWLEDGED];
    table::add(stream.finish(&ledger, "route removed", &signs));
}

/// As when a lease is renewed with another address.
pub(crate) fn address_changed() {
    let Test {
        lan,
        ledger,
        mut stream,
        _server,
    } = start();
    stream.fault(|| {
        lan.client.sh("ip address delete 10.1.0.2/24 dev eth0");
    });
    stream.heal(|| {
        lan.client.sh("ip address add 10.1.0.3/24 dev eth0
             ip route add default via 10.1.0.1");
    });
    // Either, according to what was under way: no packet can leave with the old address.
    let signs = [UNACKNOWLEDGED, established(NO_ROUTE)];
    stream.await_failed(1, &signs);
    table::add(stream.finish(&ledger, "address changed", &signs));
}

pub(crate) fn to_server_dropped() {
    let Test {
        lan,
        ledger,
        mut stream,
        _server,
    } = start();
    stream.fault(|| lan.to_server("drop"));
    stream.await_failed(1, &[UNACKNOWLEDGED]);
    stream.await_failed(3, &[NO_CONNECT]);
    stream.heal_with_a_probe_under_way(|| lan.heal());
    let signs = [UNACKNOWLEDGED, NO_CONNECT, NO_CONNECT_AT_ALL];
    table::add(stream.finish(&ledger, "packets to the server dropped", &signs));
}

pub(crate) fn to_client_dropped() {
    let Test {
        lan,
        ledger,
        mut stream,
        _server,
    } = start();
    stream.fault(|| lan.to_client("drop"));
    stream.await_failed(1, &[UNACKNOWLEDGED]);
    stream.await_failed(3, &[NO_CONNECT]);
    stream.heal_with_a_probe_under_way(|| lan.heal());
    let signs = [UNACKNOWLEDGED, NO_CONNECT, NO_CONNECT_AT_ALL];
    table::add(stream.finish(&ledger, "packets to the client dropped", &signs));
}

/// Connections open, and are reset when they are used.
pub(crate) fn reset_injected() {
    reset(Plan::default());
}

pub(crate) fn reset_injected_order_not_asked_for() {
    reset(Plan {
        in_order: false,
        ..Plan::default()
    });
}

fn reset(plan: Plan) {
    let Test {
        lan,
        ledger,
        mut stream,
        _server,
    } = start_with(plan);
    stream.fault(|| lan.to_server("tcp flags & psh == psh reject with tcp reset"));
    stream.await_failed(3, &[RESET]);
    stream.heal(|| lan.heal());
    table::add(stream.finish(&ledger, "RST injected", &[RESET]));
}

pub(crate) fn host_unreachable() {
    let Test {
        lan,
        ledger,
        mut stream,
        _server,
    } = start();
    stream.fault(|| lan.to_server("reject with icmp host-unreachable"));
    stream.await_failed(1, &[established(NO_HOST)]);
    stream.await_failed(3, &[NO_HOST]);
    stream.heal(|| lan.heal());
    let signs = [NO_HOST, established(NO_HOST)];
    table::add(stream.finish(&ledger, "host unreachable", &signs));
}
