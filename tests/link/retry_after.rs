//! A peer that says when it can be tried again.

use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tower_conn_retry::{ConnError, ConnErrorKind, Reason, classify, policy_fn};

use super::peer::*;

const BUSY: Does = Does::Fail(io::ErrorKind::ResourceBusy);
const RESET_WITH_A_TIME: Does = Does::Fail(io::ErrorKind::StaleNetworkFileHandle);

/// Probes every 100 ms, but after these two only so much later.
macro_rules! layer {
    ($wait:expr) => {
        steady().policy(policy_fn(|error| {
            let io: &io::Error = error.downcast_ref()?;
            let kind = match io.kind() {
                io::ErrorKind::ResourceBusy => ConnErrorKind::Other,
                io::ErrorKind::StaleNetworkFileHandle => ConnErrorKind::Reset,
                _ => return classify(error),
            };
            Some(ConnError::new(kind).with_retry_after($wait))
        }))
    };
}

fn seconds(began: Instant, peer: &Peer) -> Vec<f64> {
    let times = peer.times();
    let since = |at: &Instant| at.duration_since(began).as_millis() as f64 / 1000.0;
    times.iter().map(since).collect()
}

#[tokio::test(start_paused = true)]
async fn nobody_tries_before_the_time_that_the_peer_says() {
    for does in [BUSY, RESET_WITH_A_TIME] {
        let began = Instant::now();
        let mut left = 2;
        let peer = Peer::new(move |_| match left {
            0 => Does::Answer,
            _ => {
                left -= 1;
                does
            }
        });
        let service = peer.behind(layer!(30 * SECOND));
        let first = send(&service, message(1));
        pass(10 * SECOND).await;
        let second = send(&service, message(2));
        let status = service.links().status();
        assert_eq!(status[0].next_probe(), Some(20 * SECOND));
        assert_eq!(first.await.unwrap().unwrap(), 1);
        assert_eq!(second.await.unwrap().unwrap(), 2);
        assert_eq!(seconds(began, &peer), [0.0, 30.0, 60.0, 60.0]);
    }
}

/// The backoff goes on underneath: with a time that is shorter, it is the backoff's that counts.
#[tokio::test(start_paused = true)]
async fn the_backoff_counts_where_it_is_longer() {
    let began = Instant::now();
    let peer = Peer::that(BUSY);
    let service = peer.behind(layer!(Duration::from_millis(30)));
    let call = send(&service, message(1));
    pass(350 * MS).await;
    assert_eq!(seconds(began, &peer), [0.0, 0.1, 0.2, 0.3]);
    drop(call);
}

#[tokio::test(start_paused = true)]
async fn who_fails_with_a_time_while_the_link_is_down_defers_the_probe_too() {
    let began = Instant::now();
    let peer = Peer::new(|message| match message.number {
        1 => REFUSED,
        _ => Does::FailAfter(50 * MS, io::ErrorKind::ResourceBusy),
    });
    let service = peer.behind(layer!(30 * SECOND));
    let second = send(&service, message(2));
    let first = send(&service, message(1));
    pass(60 * MS).await;
    peer.now_does(Does::Answer);
    for call in [first, second] {
        call.await.unwrap().unwrap();
    }
    assert_eq!(seconds(began, &peer), [0.0, 0.0, 30.05, 30.05]);
}

#[tokio::test(start_paused = true)]
async fn the_time_outlasts_the_call_that_was_told() {
    let peer = Peer::that(BUSY);
    let service = peer.behind(layer!(30 * SECOND));
    let first = send(&service, message(1));
    let _second = send(&service, message(2));
    pass(SECOND).await;
    first.abort();
    pass(28 * SECOND).await;
    assert_eq!(peer.attempts(), [1]);
    pass(2 * SECOND).await;
    assert_eq!(peer.attempts(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn waking_overrides_the_time_and_giving_up_ends_it() {
    let began = Instant::now();
    let peer = Peer::that(BUSY);
    let service = peer.behind(layer!(Duration::MAX).give_up_after(100 * SECOND));
    let gives_up = send(&service, message(1));
    pass(99 * SECOND).await;
    assert_eq!(peer.attempts(), [1]);
    let error = gives_up.await.unwrap().unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (Reason::GaveUp, 1));
    assert_eq!(
        error.conn_error().unwrap().retry_after(),
        Some(Duration::from_millis(4_294_967_294))
    );
    assert_eq!(began.elapsed().as_secs(), 100);

    let call = send(&service, message(2));
    pass(SECOND).await;
    peer.now_does(Does::Answer);
    service.links().wake();
    call.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 101);

    // The time was that of the outage before: this one has a time of its own.
    peer.now_does(REFUSED);
    let call = send(&service, message(3));
    pass(SECOND).await;
    peer.now_does(Does::Answer);
    call.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 102);
}

#[tokio::test(start_paused = true)]
async fn after_waking_the_backoff_alone_decides() {
    let began = Instant::now();
    let peer = Peer::that(BUSY);
    let service = peer.behind(layer!(100 * SECOND));
    let call = send(&service, message(1));
    pass(SECOND).await;
    peer.now_does(REFUSED);
    service.links().wake();
    settle().await;
    peer.now_does(Does::Answer);
    call.await.unwrap().unwrap();
    assert_eq!(seconds(began, &peer), [0.0, 1.0, 1.1]);
}

/// Another one is told to wait while the probe is under way, which gets through: the peer is well.
#[tokio::test(start_paused = true)]
async fn an_answer_ends_the_time() {
    let peer = Peer::new(|message| match message.number {
        1 => Does::FailAfter(300 * MS, io::ErrorKind::ResourceBusy),
        _ => REFUSED,
    });
    let service = peer.behind(layer!(100 * SECOND));
    let told = send(&service, message(1));
    let probe = send(&service, message(2));
    settle().await;
    peer.now_does(Does::AnswerAfter(400 * MS)); // from 100 ms to 500 ms
    probe.await.unwrap().unwrap();
    told.await.unwrap().unwrap();

    peer.now_does(REFUSED);
    let began = Instant::now();
    let next = send(&service, message(3));
    settle().await;
    peer.now_does(Does::Answer);
    next.await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_millis(), 100);
}
