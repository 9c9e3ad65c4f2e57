//! Faults of the path.

use super::{NO_CONNECT, NO_HOST, NO_ROUTE, RESET, STALLED, UNACKNOWLEDGED, established};
use crate::lan::{Lan, SERVICE};
use crate::server::{Ledger, Protocol, Server};
use crate::stream::{Mode, Plan, Stream};
use crate::table::{self, Row};
use crate::witness::Sign;

struct Test {
    lan: Lan,
    ledger: Ledger,
    stream: Stream,
    _server: Server,
}

impl Test {
    fn start(mode: Mode) -> Self {
        let lan = Lan::new();
        let ledger = Ledger::default();
        let server = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
        let stream = Stream::start(&lan.client, Plan::new(mode));
        Self {
            lan,
            ledger,
            stream,
            _server: server,
        }
    }

    fn finish(self, name: &'static str, signs: &[Sign]) -> Row {
        self.stream.finish(&self.ledger, name, signs)
    }
}

pub(crate) fn link_down(mode: Mode) {
    let mut test = Test::start(mode);
    let client = &test.lan.client;
    test.stream.fault(|| client.sh("ip link set eth0 down"));
    test.stream.await_failed(3, &[NO_ROUTE]);
    test.stream.heal(|| {
        client.sh("ip link set eth0 up; ip route add default via 10.1.0.1");
    });
    let signs = [NO_ROUTE, established(NO_ROUTE), UNACKNOWLEDGED, STALLED];
    table::add(test.finish("link down and up", &signs));
}

pub(crate) fn route_removed(mode: Mode) {
    let mut test = Test::start(mode);
    let client = &test.lan.client;
    test.stream.fault(|| client.sh("ip route delete default"));
    test.stream.await_failed(3, &[NO_ROUTE]);
    test.stream
        .heal(|| client.sh("ip route add default via 10.1.0.1"));
    let signs = [NO_ROUTE, established(NO_ROUTE), UNACKNOWLEDGED, STALLED];
    table::add(test.finish("route removed", &signs));
}

/// As when a lease is renewed with another address.
pub(crate) fn address_changed(mode: Mode) {
    let mut test = Test::start(mode);
    let client = &test.lan.client;
    test.stream
        .fault(|| client.sh("ip address delete 10.1.0.2/24 dev eth0"));
    test.stream.heal(|| {
        client.sh("ip address add 10.1.0.3/24 dev eth0
             ip route add default via 10.1.0.1");
    });
    // Either, according to what was under way: no packet can leave with the old address.
    let signs = [UNACKNOWLEDGED, STALLED, established(NO_ROUTE)];
    test.stream.await_failed(1, &signs);
    table::add(test.finish("address changed", &signs));
}

pub(crate) fn to_server_dropped(mode: Mode) {
    dropped(mode, Lan::to_server, "packets to the server dropped");
}

pub(crate) fn to_client_dropped(mode: Mode) {
    dropped(mode, Lan::to_client, "packets to the client dropped");
}

fn dropped(mode: Mode, direction: fn(&Lan, &str), name: &'static str) {
    let mut test = Test::start(mode);
    test.stream.fault(|| direction(&test.lan, "drop"));
    test.stream.await_failed(1, &[UNACKNOWLEDGED]);
    test.stream.await_failed(3, &[NO_CONNECT]);
    test.stream.heal_with_a_probe_under_way(|| test.lan.heal());
    let signs = [UNACKNOWLEDGED, NO_CONNECT];
    table::add(test.finish(name, &signs));
}

/// Connections open, and are reset when they are used.
pub(crate) fn reset_injected(mode: Mode) {
    let mut test = Test::start(mode);
    test.stream.fault(|| {
        test.lan
            .to_server("tcp flags & psh == psh reject with tcp reset");
    });
    test.stream.await_failed(3, &[RESET]);
    test.stream.heal(|| test.lan.heal());
    table::add(test.finish("RST injected", &[RESET]));
}

pub(crate) fn host_unreachable(mode: Mode) {
    let mut test = Test::start(mode);
    test.stream
        .fault(|| test.lan.to_server("reject with icmp host-unreachable"));
    test.stream.await_failed(1, &[established(NO_HOST)]);
    test.stream.await_failed(3, &[NO_HOST]);
    test.stream.heal(|| test.lan.heal());
    let signs = [NO_HOST, established(NO_HOST)];
    table::add(test.finish("host unreachable", &signs));
}
