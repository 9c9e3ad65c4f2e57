//! Stalled callers, once more.

use std::sync::mpsc;
use std::time::Duration;

use futures_util::FutureExt;
use tower_conn_retry::RetryOnConnErr;

use super::peer::*;

/// In a thread of its own, since a deadlock stops the clock.
fn ends(test: impl Future<Output = ()> + Send + 'static) {
    let (done, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(test);
        done.send(()).unwrap();
    });
    let ended = ended.recv_timeout(Duration::from_secs(10));
    ended.expect("neither a deadlock nor a failed assertion");
}

#[test]
fn the_watchdog_can_be_set_to_a_time_that_is_over() {
    ends(async {
        let peer = Peer::that(REFUSED);
        let service = peer.behind(RetryOnConnErr::new().backoff(|| std::iter::repeat(10 * SECOND)));
        let mut stalled = [0, 1].map(|number| call(&service, message(number)));
        for call in &mut stalled {
            assert!(call.now_or_never().is_none());
        }
        let others = [2, 3].map(|number| send(&service, message(number)));
        pass(SECOND).await; // the watchdog is set to a time far away
        peer.now_does(Does::Answer);
        service.links().wake(); // now it should go off soon
        pass(2 * SECOND).await;
        let late = send(&service, message(4));
        for call in others.into_iter().chain([late]) {
            call.await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_dropped_probe_passes_two_stalled_callers() {
    ends(async {
        let peer = Peer::that(REFUSED);
        let service = peer.behind(steady());
        let head = send(&service, message(0));
        settle().await;
        let mut stalled = [1, 2].map(|number| call(&service, message(number)));
        for call in &mut stalled {
            assert!(call.now_or_never().is_none());
        }
        let other = send(&service, message(3));
        settle().await;
        peer.now(|message| match message.number {
            0 => Does::Hang,
            _ => Does::Answer,
        });
        pass(SECOND).await; // the watchdog went off while the probe was in flight
        head.abort();
        pass(SECOND).await;
        assert!(other.is_finished());
    });
}

#[test]
fn a_stalled_probe_and_a_stalled_next_block_nobody() {
    ends(async {
        let peer = Peer::that(REFUSED);
        let service = peer.behind(steady().attempt_timeout(SECOND));
        let mut probe = call(&service, message(0));
        assert!((&mut probe).now_or_never().is_none());
        let mut stalled = call(&service, message(1));
        assert!((&mut stalled).now_or_never().is_none());
        let other = send(&service, message(2));
        let last = send(&service, message(3));
        peer.now(|message| match message.number {
            0 => Does::Hang,
            _ => Does::Answer,
        });
        pass(105 * MS).await;
        assert!((&mut probe).now_or_never().is_none());
        assert_eq!(peer.attempts().last(), Some(&0));
        pass(5 * SECOND).await;
        assert!(other.is_finished());
        assert!(last.is_finished());
    });
}
