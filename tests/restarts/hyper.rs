//! hyper's server, killed and started again: all its connections are reset, new ones are refused
//! until it is back.

use std::time::Duration;

use super::caller::Caller;
use super::check::{Promise, check};
use super::clients::Target;
use super::ledger::Ledger;
use super::load::{Server, Share, run, turn};
use super::origin::{Origin, Version};
use super::tls::Tls;

impl Server for Origin {
    async fn stop(&mut self) -> bool {
        self.kill().await;
        // One that is just about to answer does so before.
        self.all_closed().await;
        true
    }

    async fn start(&mut self) {
        Origin::start(self);
    }
}

/// `pace` is how long the server takes to answer, in milliseconds.
async fn prove(
    name: &str,
    (version, tls, pace): (Version, Option<Tls>, u64),
    client: impl FnOnce(&Target) -> Caller,
    promise: Promise,
) {
    let _turn = turn(Share::Half).await;
    let ledger = Ledger::new(Duration::from_millis(pace));
    let mut origin = Origin::stopped(version);
    if let Some(tls) = &tls {
        origin.set_tls(tls.acceptor(version));
    }
    let handler = ledger.clone();
    origin.set_handler(move |request| handler.clone().answer(request));
    origin.start();
    let base = origin.url("");
    let caller = client(&Target { version, base, tls });
    let run = run(&caller, &ledger, &mut origin).await;
    check(name, promise, &run, &ledger);
}

/// A server, and a client of it in the layer.
macro_rules! loads {
    ($promise:expr, $($name:ident: $server:expr, $client:expr;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            prove(stringify!($name), $server, $client, $promise).await;
        }
    )*};
}

fn plain(version: Version) -> (Version, Option<Tls>, u64) {
    (version, None, 3)
}

fn tls(version: Version) -> (Version, Option<Tls>, u64) {
    (version, Some(Tls::new()), 3)
}

/// One HTTP/1.1 connection can't do 1,000 a second with more.
fn at_once((version, tls, _): (Version, Option<Tls>, u64)) -> (Version, Option<Tls>, u64) {
    (version, tls, 0)
}

mod all_is_answered_and_nothing_done_twice {
    use super::super::load::layer;
    use super::Version::{H1, H2};
    use super::*;

    loads! { Promise::Answers,
        http1_pooled: plain(H1), |to| to.pooled(layer());
        http1_pooled_tls: tls(H1), |to| to.pooled(layer());
        http1_one_connection: at_once(plain(H1)), |to| to.one_connection(layer());
        http1_one_connection_tls: at_once(tls(H1)), |to| to.one_connection(layer());
        http1_reqwest: plain(H1), |to| to.reqwest(layer());
        http2_pooled: plain(H2), |to| to.pooled(layer());
        http2_pooled_tls: tls(H2), |to| to.pooled(layer());
        http2_one_connection: plain(H2), |to| to.one_connection(layer());
        http2_one_connection_tls: tls(H2), |to| to.one_connection(layer());
        http2_reqwest: plain(H2), |to| to.reqwest(layer());
        tonic: plain(H2), |to| to.tonic(layer());
    }

    // Their TLS is only built for these tests.
    #[cfg(feature = "_tests")]
    loads! { Promise::Answers,
        http2_reqwest_tls: tls(H2), |to| to.reqwest(layer());
        tonic_tls: tls(H2), |to| to.tonic(layer());
    }
}

mod who_finds_no_room_is_told_truly_what_was_sent {
    use super::super::load::small_layer;
    use super::Version::{H1, H2};
    use super::*;

    loads! { Promise::Truth,
        http1_pooled: plain(H1), |to| to.pooled(small_layer());
        http2_one_connection: plain(H2), |to| to.one_connection(small_layer());
        http2_reqwest: plain(H2), |to| to.reqwest(small_layer());
    }
}
