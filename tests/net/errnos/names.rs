//! Errors of resolving a name, with a name server of our own.

use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use libtest_mimic::Trial;
use tower_conn_retry::ConnErrorKind::{Dns, Timeout};
use tower_conn_retry::Outlook::{self, Permanent, Transient};
use tower_conn_retry::{ConnError, Sent, classify};

use super::clients::{Client, KINDS};
use super::{assert_not_sent, within};
use crate::dns::{Mood, NameServer};
use crate::lan::{Lan, ROUTER};
use crate::test;

const NAME: &str = "server.test";

pub(crate) fn all() -> Vec<Trial> {
    vec![
        test("errnos::names::nxdomain", || {
            fails(Mood::NxDomain, Permanent);
        }),
        test("errnos::names::no_data", || fails(Mood::NoData, Permanent)),
        test("errnos::names::servfail", || {
            fails(Mood::ServFail, Transient);
        }),
        test("errnos::names::refused", || fails(Mood::Refused, Transient)),
        test("errnos::names::silent", || fails(Mood::Silent, Transient)),
        test("errnos::names::no_server", no_server),
        test("errnos::names::no_permission", no_permission),
        test("errnos::names::no_route", no_route),
    ]
}

fn fails(mood: Mood, outlook: Outlook) {
    let lan = lan();
    let _names = NameServer::start(&lan.router, ROUTER, mood);
    assert_fails(&lan, outlook, mood == Mood::Silent);
}

/// ICMP says that nobody is there, which hickory's sockets do not hear.
fn no_server() {
    assert_fails(&lan(), Transient, true);
}

/// A rule of one's own: EPERM, which is permanent while connecting to the peer.
fn no_permission() {
    let lan = lan();
    let _names = NameServer::start(&lan.router, ROUTER, Mood::NxDomain);
    lan.client.sh("nft add table ip own
         nft 'add chain ip own output { type filter hook output priority 0; }'
         nft add rule ip own output udp dport 53 drop");
    let sent = lan.client.run(|| {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.send_to(&[0], (ROUTER, 53))
    });
    assert_eq!(sent.unwrap_err().raw_os_error(), Some(libc::EPERM));
    assert_fails(&lan, Transient, false);
}

fn no_route() {
    let lan = lan();
    lan.client.sh("ip link set eth0 down");
    assert_fails(&lan, Transient, false);
}

fn lan() -> Lan {
    let mut lan = Lan::new();
    lan.client.resolver(ROUTER);
    lan
}

fn assert_fails(lan: &Lan, outlook: Outlook, silent: bool) {
    lan.client.block_on(|| async {
        for kind in KINDS {
            let mut client = Client::new(kind, NAME);
            let error = within(client.request(1)).await.unwrap_err();
            assert_not_sent(kind, error, Dns, outlook);
        }
        let server = NameServerConfig::udp(ROUTER.into());
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let provider = TokioRuntimeProvider::default();
        let mut resolver = TokioResolver::builder_with_config(config, provider);
        resolver.options_mut().timeout = Duration::from_secs(1);
        resolver.options_mut().attempts = 1;
        let resolver = resolver.build().unwrap();
        let error = within(resolver.lookup_ip(NAME)).await.unwrap_err();
        let kind = if silent { Timeout } else { Dns };
        let expected = ConnError::new(kind)
            .with_sent(Sent::No)
            .with_outlook(outlook);
        assert_eq!(classify(&error), Some(expected), "{error:?}");
    });
}
