//! Three hosts in a row: a client, a router, and a server.

use std::net::{Ipv4Addr, SocketAddr};

use crate::host::Host;

/// The router, as the client knows it.
pub(crate) const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
pub(crate) const SERVER: Ipv4Addr = Ipv4Addr::new(10, 2, 0, 2);
/// Where the server serves.
pub(crate) const SERVICE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(SERVER), 7000);
/// Where it serves HTTP.
pub(crate) const WEB: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(SERVER), 8000);

const TO_SERVER: &str = "ip saddr 10.1.0.0/24";
const TO_CLIENT: &str = "ip saddr 10.2.0.0/24";

pub(crate) struct Lan {
    pub(crate) client: Host,
    pub(crate) router: Host,
    pub(crate) server: Host,
}

impl Lan {
    pub(crate) fn new() -> Self {
        let lan = Self {
            client: Host::new(),
            router: Host::new(),
            server: Host::new(),
        };
        lan.router.sh("echo 1 > /proc/sys/net/ipv4/ip_forward
             echo 0 > /proc/sys/net/ipv4/icmp_ratelimit
             echo 1000000 > /proc/sys/net/ipv4/icmp_msgs_per_sec
             nft add table ip fault
             nft 'add chain ip fault forward { type filter hook forward priority 0; }'");
        lan.plug(&lan.client, 1);
        lan.plug(&lan.server, 2);
        lan
    }

    /// Connects a host to a port of the router. (Of ends with the same number in their namespaces the
    /// kernel tells up to a second late that they can be used.)
    fn plug(&self, host: &Host, port: u8) {
        self.router.sh(&format!(
            "ip link add port{port} index 10{port} type veth peer name eth0 netns {}
             ip address add 10.{port}.0.1/24 dev port{port}
             ip link set port{port} up
             echo 50 > /proc/sys/net/ipv4/neigh/port{port}/retrans_time_ms",
            host.name()
        ));
        host.sh(&format!(
            "ip address add 10.{port}.0.2/24 dev eth0
             ip link set eth0 up
             echo 50 > /proc/sys/net/ipv4/neigh/eth0/retrans_time_ms
             ip route add default via 10.{port}.0.1",
        ));
    }

    /// The server's host vanishes, and another one of the same address takes its place.
    pub(crate) fn replace_server(&mut self) {
        self.router.sh("ip link delete port2");
        let host = Host::new();
        self.plug(&host, 2);
        self.server = host;
    }

    /// What the router does to what is on its way to the server: a verdict of nft.
    pub(crate) fn to_server(&self, verdict: &str) {
        self.rule(&format!("{TO_SERVER} {verdict}"));
    }

    /// What the router does to what is on its way to the client.
    pub(crate) fn to_client(&self, verdict: &str) {
        self.rule(&format!("{TO_CLIENT} {verdict}"));
    }

    fn rule(&self, rule: &str) {
        self.router
            .sh(&format!("nft 'add rule ip fault forward {rule}'"));
    }

    /// The router lets everything through again.
    pub(crate) fn heal(&self) {
        self.router.sh("nft flush chain ip fault forward");
    }
}
