//! Errors of connecting.

use libtest_mimic::Trial;
use tower_conn_retry::ConnErrorKind::{
    self, AddressUnavailable, Local, Refused, Timeout, Unreachable,
};
use tower_conn_retry::Outlook::{self, Permanent, Transient};

use super::clients::{Client, KINDS};
use super::{assert_errno, assert_not_sent};
use crate::lan::{Lan, SERVER, SERVICE, WEB};
use crate::server::{Ledger, Protocol, Server};
use crate::test;

struct Case {
    name: &'static str,
    fault: fn(&Lan),
    errno: i32,
    kind: ConnErrorKind,
    outlook: Outlook,
}

const fn case(name: &'static str, errno: i32, kind: ConnErrorKind, fault: fn(&Lan)) -> Case {
    Case {
        name,
        fault,
        errno,
        kind,
        outlook: Transient,
    }
}

fn cases() -> Vec<Case> {
    vec![
        case("no_route", libc::ENETUNREACH, Unreachable, |lan| {
            lan.client.sh("ip route delete default");
        }),
        case("interface_down", libc::ENETUNREACH, Unreachable, |lan| {
            lan.client.sh("ip link set eth0 down");
        }),
        case(
            "route_that_rejects",
            libc::EHOSTUNREACH,
            Unreachable,
            |lan| {
                lan.client.sh("ip route add unreachable 10.2.0.0/24");
            },
        ),
        Case {
            outlook: Permanent,
            ..case("route_that_prohibits", libc::EACCES, Local, |lan| {
                lan.client.sh("ip route add prohibit 10.2.0.0/24");
            })
        },
        case("no_router", libc::EHOSTUNREACH, Unreachable, |lan| {
            lan.router.sh("ip address flush dev port1");
        }),
        case("no_host", libc::EHOSTUNREACH, Unreachable, |lan| {
            lan.server.sh("ip address flush dev eth0");
        }),
        case("net_unreachable", libc::ENETUNREACH, Unreachable, |lan| {
            lan.to_server("reject with icmp net-unreachable");
        }),
        case("host_unreachable", libc::EHOSTUNREACH, Unreachable, |lan| {
            lan.to_server("reject with icmp host-unreachable");
        }),
        case(
            "protocol_unreachable",
            libc::ENOPROTOOPT,
            Unreachable,
            |lan| {
                lan.to_server("reject with icmp prot-unreachable");
            },
        ),
        case("port_unreachable", libc::ECONNREFUSED, Refused, |lan| {
            lan.to_server("reject with icmp port-unreachable");
        }),
        case("net_prohibited", libc::ENETUNREACH, Unreachable, |lan| {
            lan.to_server("reject with icmp net-prohibited");
        }),
        case("host_prohibited", libc::EHOSTUNREACH, Unreachable, |lan| {
            lan.to_server("reject with icmp host-prohibited");
        }),
        case("admin_prohibited", libc::EHOSTUNREACH, Unreachable, |lan| {
            lan.to_server("reject with icmp admin-prohibited");
        }),
        case("rejected_by_a_reset", libc::ECONNREFUSED, Refused, |lan| {
            lan.to_server("reject with tcp reset");
        }),
        case("dropped", libc::ETIMEDOUT, Timeout, |lan| {
            lan.client.sh("echo 1 > /proc/sys/net/ipv4/tcp_syn_retries");
            lan.to_server("drop");
        }),
        // TCP does not hear of it: what a rule of one's own drops is as lost as any other.
        case("dropped_by_an_own_rule", libc::ETIMEDOUT, Timeout, |lan| {
            lan.client.sh("echo 1 > /proc/sys/net/ipv4/tcp_syn_retries
                 nft add table ip own
                 nft 'add chain ip own output { type filter hook output priority 0; }'
                 nft add rule ip own output tcp flags syn drop");
        }),
    ]
}

pub(crate) fn all() -> Vec<Trial> {
    let trial = |case: Case| {
        let name = format!("errnos::connecting::{}", case.name);
        test(name, move || check(&case))
    };
    let mut all: Vec<Trial> = cases().into_iter().map(trial).collect();
    all.push(test("errnos::connecting::ports_exhausted", ports_exhausted));
    all
}

fn check(case: &Case) {
    let lan = Lan::new();
    let ledger = Ledger::default();
    let _numbers = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
    let _web = Server::start(&lan.server, WEB, &ledger, Protocol::Http);
    (case.fault)(&lan);
    assert_fails(&lan, case.errno, case.kind, case.outlook);
    assert_eq!(ledger.read(), [0; 0]);
}

fn assert_fails(lan: &Lan, errno: i32, expected: ConnErrorKind, outlook: Outlook) {
    lan.client.block_on(|| async {
        for kind in KINDS {
            let mut client = Client::new(kind, &SERVER.to_string());
            let error = super::within(client.request(1)).await.unwrap_err();
            assert_errno(kind, &error, errno);
            assert_not_sent(kind, error, expected, outlook);
        }
    });
}

/// Every port that connections to a server can have is taken.
fn ports_exhausted() {
    let lan = Lan::new();
    lan.client
        .sh("echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range");
    let ledger = Ledger::default();
    let _numbers = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
    let _web = Server::start(&lan.server, WEB, &ledger, Protocol::Http);
    let taken: Vec<_> = lan.client.run(|| {
        let connect = std::net::TcpStream::connect;
        [SERVICE, SERVICE, WEB, WEB]
            .map(connect)
            .into_iter()
            .collect()
    });
    assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    assert_fails(&lan, libc::EADDRNOTAVAIL, AddressUnavailable, Transient);
    assert_eq!(ledger.read(), [0; 0]);
}
