//! A peer that has gone silent: everything is dropped, nothing is closed.

use std::ops::RangeInclusive;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};
use tower::{Service, ServiceExt};
use tower_conn_retry::tcp::{Connector, ErrorKind};
use tower_conn_retry::{ConnErrorKind, Sent, classify};

use crate::chain::errno;
use crate::lan::{Lan, SERVICE};
use crate::server::{Ledger, Numbers, Protocol, Server, UNANSWERED};
use crate::witness::PATIENCE;

type Numbered = Connector<fn() -> Numbers, u64>;

pub(crate) fn unacknowledged() {
    noticed(0..=20_000, Last::Unread, |connector| connector);
}

pub(crate) fn idle() {
    noticed(0..=20_000, Last::Read, |connector| connector);
}

pub(crate) fn unacknowledged_for_a_set_time() {
    let set = |connector: Numbered| connector.user_timeout(Duration::from_secs(3));
    noticed(2_500..=6_000, Last::Unread, set);
}

pub(crate) fn idle_for_a_set_time() {
    // A probe after 2 s, and then one each second; the other one says when that is enough.
    let set = |connector: Numbered| {
        let connector = connector.keepalive(Duration::from_secs(2));
        connector.user_timeout(Duration::from_secs(4))
    };
    noticed(3_500..=7_000, Last::Read, set);
}

/// Nothing can leave, and the server, which hears no acknowledgements, sends its last answers again
/// and again: so the kernel hears a peer that is alive.
pub(crate) fn route_removed() {
    let lan = Lan::new();
    let ledger = Ledger::default();
    let _server = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
    let (taken, failed) = lan.client.block_on(|| async {
        let mut connector = Connector::new(SERVICE, || Numbers);
        let mut client = connector.call(()).await.unwrap();
        let mut calls = JoinSet::new();
        let mut ticks = interval(Duration::from_millis(1));
        let mut since = Instant::now();
        for number in 1..=600 {
            if number == 300 {
                since = Instant::now();
                lan.client.sh("ip route delete default");
            }
            ticks.tick().await;
            calls.spawn(client.ready().await.unwrap().call(number));
        }
        let results = timeout(PATIENCE, calls.join_all()).await.expect("hangs");
        let failed: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        (since.elapsed(), failed)
    });
    assert!(taken <= Duration::from_secs(20), "{taken:?}");
    // Some were answered before.
    assert!((250..600).contains(&failed.len()), "{}", failed.len());
    for error in failed {
        assert_eq!((error.kind(), error.sent()), (ErrorKind::Io, Sent::Maybe));
        assert_eq!(classify(&error).unwrap().kind(), ConnErrorKind::Timeout);
    }
}

/// Whether the last request got through.
#[derive(PartialEq)]
enum Last {
    Unread,
    Read,
}

/// After how many milliseconds it is noticed. The kernel counts from when it last heard something.
fn noticed(
    milliseconds: RangeInclusive<u128>,
    last: Last,
    set: impl FnOnce(Numbered) -> Numbered + Send,
) {
    let lan = Lan::new();
    let ledger = Ledger::default();
    let _server = Server::start(&lan.server, SERVICE, &ledger, Protocol::Numbers);
    let (taken, error) = lan.client.block_on(|| async {
        let mut connector = set(Connector::new(SERVICE, || Numbers));
        let mut client = connector.call(()).await.unwrap();
        let answer = client.ready().await.unwrap().call(1).await;
        assert_eq!(answer.unwrap(), 1);
        if last == Last::Unread {
            lan.to_server("drop");
        }
        let answer = client.ready().await.unwrap().call(UNANSWERED);
        let answer = tokio::spawn(answer);
        tokio::task::yield_now().await;
        if last == Last::Read {
            tokio::task::spawn_blocking({
                let ledger = ledger.clone();
                move || ledger.wait_for(UNANSWERED)
            })
            .await
            .unwrap();
            lan.to_server("drop");
        }
        let since = Instant::now();
        let error = timeout(PATIENCE, answer).await.expect("hangs").unwrap();
        (since.elapsed(), error.unwrap_err())
    });
    assert!(milliseconds.contains(&taken.as_millis()), "{taken:?}");
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Io, Sent::Maybe));
    assert_eq!(errno(&error), Some(libc::ETIMEDOUT));
    assert_eq!(classify(&error).unwrap().kind(), ConnErrorKind::Timeout);
    let was_read = ledger.read().contains(&UNANSWERED);
    assert_eq!(was_read, last == Last::Read);
}
