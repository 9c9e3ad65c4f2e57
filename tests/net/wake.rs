//! The links are woken when the network changes for the better, and only then. All clients have a
//! backoff of ten minutes, so that nothing else explains an attempt.

use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Trial;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tower::util::BoxCloneService;
use tower::{ServiceBuilder, ServiceExt};
use tower_conn_retry::tcp::Connector;
use tower_conn_retry::{Destination, Error, Links, Observer, Reconnect, RetryOnConnErr};

use crate::lan::{Lan, SERVICE};
use crate::server::{Ledger, Protocol, Server};
use crate::stream::CONNECT;
use crate::test;
use crate::witness::PATIENCE;

const BACKOFF: Duration = Duration::from_secs(600);
/// The shortest time between two wakes.
const PAUSE: Duration = Duration::from_millis(250);

/// Ten thousand addresses come and go.
const STORM: &str = r#"
    change='address add 10.4.&.1/24 dev one\naddress delete 10.4.&.1/24 dev one'
    for _ in $(seq 1 40); do
        seq 1 250 | sed "s#.*#$change#" | ip -batch -
    done"#;

const ROUTE: &str = "ip route add default via 10.1.0.1";

pub(crate) fn all() -> Vec<Trial> {
    vec![
        test("wake::link_down_and_up", link_down_and_up),
        test("wake::carrier_lost_and_back", carrier_lost_and_back),
        test("wake::address_on_another_interface", another_interface),
        test("wake::what_goes_away_wakes_nobody", what_goes_away),
        test("wake::storm", storm),
        test("wake::more_than_the_kernel_keeps", overflow),
        test("wake::links_are_not_kept_alive", links_are_not_kept_alive),
    ]
}

/// Three clients: one is watched over, one is not, one was.
fn link_down_and_up() {
    in_lan(async |lan| {
        let [watched, never, no_more] = [(); 3].map(|()| Client::new());
        let _watch = watched.watch();
        let watch = no_more.watch();
        watch.abort();
        assert!(watch.await.unwrap_err().is_cancelled());
        for client in [&watched, &never, &no_more] {
            answered(client.ask(1)).await;
        }

        lan.client.sh("ip link set eth0 down");
        let calls = [&watched, &never, &no_more].map(|client| client.ask(2));
        for client in [&watched, &never, &no_more] {
            client.is_down().await;
        }
        let [call, others @ ..] = calls;
        lan.client.sh("ip link set eth0 up");
        lan.client.sh(ROUTE);
        answered(call).await;

        for (client, call) in [&never, &no_more].into_iter().zip(others) {
            assert_eq!(client.probes(), 0);
            let next = client.links.status()[0].next_probe().unwrap();
            assert!(next > BACKOFF / 2, "in {next:?}");
            client.links.wake();
            answered(call).await;
        }
    });
}

/// As when a wireless network is out of range for a while: the address and the routes stay.
fn carrier_lost_and_back() {
    in_lan(async |lan| {
        let client = Client::new();
        let _watch = client.watch();
        lan.router.sh("ip link set port1 down");
        let call = client.ask(1);
        client.is_down().await;
        lan.router.sh("ip link set port1 up");
        answered(call).await;
    });
}

fn another_interface() {
    in_lan(async |lan| {
        lan.router.sh(&format!(
            "ip link add port3 index 103 type veth peer name eth1 netns {}
             ip address add 10.3.0.1/24 dev port3
             ip link set port3 up",
            lan.client.name()
        ));
        lan.client.sh("ip link set eth1 up; ip link delete eth0");
        let client = Client::new();
        let call = client.ask(1);
        client.is_down().await;
        let _watch = client.watch();
        // The address alone, without the route to its network.
        lan.client
            .sh("ip address add 10.3.0.2/24 dev eth1 noprefixroute");
        client.probed(2).await; // at once, and once more
        lan.client
            .sh("ip route add 10.3.0.0/24 dev eth1; ip route add default via 10.3.0.1");
        lan.server.sh("ip route replace 10.3.0.0/24 via 10.2.0.1");
        answered(call).await;
    });
}

fn what_goes_away() {
    in_lan(async |lan| {
        lan.client.sh("ip link add one type veth peer name end
             ip link set one up; ip link set end up
             ip link add two type veth peer name other-end
             ip link set two up; ip link set other-end up
             for link in one end two other-end; do
                 until ip link show $link | grep -q 'state UP'; do :; done
             done
             ip address add 10.4.0.1/24 dev one
             ip address add 10.4.0.2/24 dev one
             ip address add 10.5.0.1/24 dev two
             ip route delete default");
        let client = Client::new();
        let call = client.ask(1);
        client.is_down().await;
        let _watch = client.watch();
        sh(lan, "ip address delete 10.4.0.2/24 dev one").await;
        sh(lan, "ip route delete 10.5.0.0/24").await;
        sh(lan, "ip link set one down").await;
        sh(lan, "ip link delete two").await;
        sh(lan, ROUTE).await;
        answered(call).await;
        assert_eq!(client.probes(), 1);
    });
}

fn storm() {
    in_lan(async |lan| {
        lan.client
            .sh("ip link add one type veth peer name end; ip link set one up
             ip route delete default");
        let client = Client::new();
        let call = client.ask(1);
        client.is_down().await;
        let _watch = client.watch();
        let began = Instant::now();
        sh(lan, STORM).await;
        client.probed(1).await;
        lan.client.sh(ROUTE);
        answered(call).await;
        let most = began.elapsed().div_duration_f64(PAUSE) as usize + 1;
        let probes = client.probes();
        assert!(probes <= most, "{probes} in {:?}", began.elapsed());
    });
}

fn overflow() {
    in_lan(async |lan| {
        lan.client
            .sh("ip link add one type veth peer name end; ip link set one up
             ip route delete default");
        let client = Client::new();
        let call = client.ask(1);
        client.is_down().await;
        let _watch = client.watch();
        lan.client.sh(STORM); // with nobody reading
        client.probed(2).await;
        // What comes now is heard again.
        lan.client.sh(ROUTE);
        answered(call).await;
    });
}

fn links_are_not_kept_alive() {
    in_lan(async |lan| {
        let client = Client::new();
        let watch = client.watch();
        answered(client.ask(1)).await;
        drop(client);
        lan.client.sh("ip route add 10.9.0.0/24 via 10.1.0.1");
        let ended = timeout(PATIENCE, watch).await;
        ended.expect("goes on").unwrap().unwrap();
    });
}

/// Runs it in the client's host while the client goes on.
async fn sh(lan: &Arc<Lan>, script: &'static str) {
    let lan = lan.clone();
    let script = tokio::task::spawn_blocking(move || lan.client.sh(script));
    timeout(PATIENCE, script).await.expect("hangs").unwrap();
}

/// Does this in the client's host, in one thread; the server is there.
fn in_lan(test: impl AsyncFn(&Arc<Lan>) + Sync) {
    let lan = Arc::new(Lan::new());
    // Its addresses come a second or two after their link.
    lan.client
        .sh("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
    let _server = Server::start(&lan.server, SERVICE, &Ledger::default(), Protocol::Numbers);
    lan.client.block_on(|| test(&lan));
}

async fn answered(call: JoinHandle<Result<u64, Error>>) {
    let answer = timeout(PATIENCE, call).await.expect("hangs");
    answer.unwrap().unwrap();
}

struct Client {
    service: BoxCloneService<u64, u64, Error>,
    links: Links,
    probes: watch::Receiver<usize>,
}

impl Client {
    fn new() -> Self {
        let connector = Connector::new(SERVICE.to_string(), || crate::server::Numbers)
            .connect_timeout(CONNECT)
            .user_timeout(Duration::from_millis(800));
        let (count, probes) = watch::channel(0);
        let layer = RetryOnConnErr::new()
            .never_give_up()
            .backoff(|| std::iter::repeat(BACKOFF))
            .observer(Probes(count));
        let service = ServiceBuilder::new()
            .layer(layer)
            .service(Reconnect::new(connector));
        Self {
            links: service.links(),
            service: BoxCloneService::new(service),
            probes,
        }
    }

    fn watch(&self) -> JoinHandle<std::io::Result<()>> {
        tokio::spawn(self.links.wake_on_network_change().unwrap())
    }

    fn ask(&self, number: u64) -> JoinHandle<Result<u64, Error>> {
        tokio::spawn(self.service.clone().oneshot(number))
    }

    async fn is_down(&self) {
        let mut summary = self.links.subscribe();
        let down = summary.wait_for(|summary| summary.down() == 1);
        timeout(PATIENCE, down).await.expect("stays up").unwrap();
    }

    fn probes(&self) -> usize {
        *self.probes.borrow()
    }

    async fn probed(&self, times: usize) {
        let mut probes = self.probes.clone();
        let probed = probes.wait_for(|probes| *probes >= times);
        timeout(PATIENCE, probed).await.expect("sleeps").unwrap();
    }
}

struct Probes(watch::Sender<usize>);

impl Observer for Probes {
    fn probe(&self, _: &Destination) {
        self.0.send_modify(|probes| *probes += 1);
    }
}
