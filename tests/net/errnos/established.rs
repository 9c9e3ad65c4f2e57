//! Errors of connections that were there: the server has read the request, its answer is lost, and
//! then something answers what the client sends again.

use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tower_conn_retry::ConnErrorKind::{
    self, BrokenPipe, Closed, Refused, Reset, Timeout, Unreachable,
};
use tower_conn_retry::{BoxError, ConnError, Sent, classify};

use super::clients::{Client, KINDS, Kind};
use super::{assert_errno, text, within};
use crate::child::ServerProcess;
use crate::lan::{Lan, SERVER, SERVICE, WEB};
use crate::server::{Ledger, Protocol, Server};
use crate::test;

/// The name, the system's code, the kind, and what happens after the requests were read.
type Case = (&'static str, i32, ConnErrorKind, fn(&Lan));

fn cases() -> Vec<Case> {
    vec![
        ("silence", libc::ETIMEDOUT, Timeout, |_| {}),
        ("reset", libc::ECONNRESET, Reset, |lan| {
            lan.to_server("reject with tcp reset");
        }),
        ("port_unreachable", libc::ECONNREFUSED, Refused, |lan| {
            lan.to_server("reject with icmp port-unreachable");
        }),
        ("host_unreachable", libc::EHOSTUNREACH, Unreachable, |lan| {
            lan.to_server("reject with icmp host-unreachable");
        }),
        ("net_unreachable", libc::ENETUNREACH, Unreachable, |lan| {
            lan.to_server("reject with icmp net-unreachable");
        }),
        (
            "protocol_unreachable",
            libc::ENOPROTOOPT,
            Unreachable,
            |lan| {
                lan.to_server("reject with icmp prot-unreachable");
            },
        ),
        ("admin_prohibited", libc::EHOSTUNREACH, Unreachable, |lan| {
            lan.to_server("reject with icmp admin-prohibited");
        }),
        ("no_route", libc::ENETUNREACH, Unreachable, |lan| {
            lan.client.sh("ip route delete default");
        }),
        ("interface_down", libc::ENETUNREACH, Unreachable, |lan| {
            lan.client.sh("ip link set eth0 down");
        }),
        ("address_removed", libc::ENETUNREACH, Unreachable, |lan| {
            lan.client.sh("ip address delete 10.1.0.2/24 dev eth0");
        }),
        ("address_changed", libc::ENETUNREACH, Unreachable, |lan| {
            lan.client.sh("ip address delete 10.1.0.2/24 dev eth0
                 ip address add 10.1.0.3/24 dev eth0
                 ip route add default via 10.1.0.1");
        }),
        ("no_router", libc::EHOSTUNREACH, Unreachable, |lan| {
            lan.router.sh("ip address flush dev port1");
            lan.client.sh("ip neighbour flush dev eth0");
        }),
    ]
}

pub(crate) fn all() -> Vec<Trial> {
    let trial = |case: Case| {
        let name = format!("errnos::established::{}", case.0);
        test(name, move || check(case))
    };
    let mut all: Vec<Trial> = cases().into_iter().map(trial).collect();
    let prohibits = "errnos::established::route_that_prohibits";
    all.push(test(prohibits, route_that_prohibits));
    all.push(test("errnos::established::broken_pipe", broken_pipe));
    all
}

fn check((_, errno, expected, fault): Case) {
    break_after_reading(fault, |kind, error| {
        assert_errno(kind, error, errno);
        let text = text(error);
        let found = classify(&**error);
        assert_eq!(found, Some(ConnError::new(expected)), "{kind:?}: {text}");
        assert_eq!(found.unwrap().sent(), Sent::Maybe);
    });
}

/// A known limit: EACCES of a connection looks like that of a file to all who don't know where it
/// came from. The TCP client knows.
fn route_that_prohibits() {
    let fault = |lan: &Lan| lan.client.sh("ip route add prohibit 10.2.0.0/24");
    break_after_reading(fault, |kind, error| {
        assert_errno(kind, error, libc::EACCES);
        let expected = (kind == Kind::Tcp).then(|| ConnError::new(Closed));
        assert_eq!(classify(&**error), expected, "{kind:?}");
    });
}

fn break_after_reading(fault: fn(&Lan), check: impl Fn(Kind, &BoxError) + Sync) {
    let lan = Lan::new();
    let ledger = Ledger::default();
    let _numbers = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
    let _web = Server::start(&lan.server, WEB, &ledger, Protocol::Http);
    lan.client.block_on(|| async {
        let mut calls = Vec::new();
        for (kind, number) in KINDS.into_iter().zip(10..) {
            let mut client = Client::new(kind, &SERVER.to_string());
            within(client.request(number)).await.unwrap();
            calls.push((kind, client, number + 10));
        }
        lan.to_client("drop");
        let calls: Vec<_> = calls
            .into_iter()
            .map(|(kind, mut client, number)| {
                let call = tokio::spawn(async move { client.request(number).await });
                (kind, number, call)
            })
            .collect();
        for (_, number, _) in &calls {
            let (ledger, number) = (ledger.clone(), *number);
            let read = tokio::task::spawn_blocking(move || ledger.wait_for(number));
            read.await.unwrap();
        }
        fault(&lan);
        for (kind, _, call) in calls {
            let error = within(call).await.unwrap().unwrap_err();
            check(kind, &error);
        }
    });
}

/// The server has closed, and is written to all the same.
fn broken_pipe() {
    let lan = Lan::new();
    let ledger = Ledger::default();
    let mut server = ServerProcess::start(&lan.server, SERVICE, &ledger);
    let error = lan.client.block_on(|| async {
        let mut stream = TcpStream::connect(SERVICE).await.unwrap();
        stream.write_u64(1).await.unwrap();
        assert_eq!(within(stream.read_u64()).await.unwrap(), 1);
        server.kill();
        assert_eq!(within(stream.read(&mut [0])).await.unwrap(), 0);
        let written = async {
            loop {
                // The first one goes well, and is answered with a reset.
                if let Err(error) = stream.write_u64(2).await {
                    break error;
                }
                tokio::task::yield_now().await;
            }
        };
        BoxError::from(within(written).await)
    });
    assert_errno(Kind::Raw, &error, libc::EPIPE);
    assert_eq!(classify(&*error), Some(ConnError::new(BrokenPipe)));
    assert_eq!(ledger.read(), [1]);
}
