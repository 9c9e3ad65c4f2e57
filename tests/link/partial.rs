//! A peer of which only some attempts fail: an address with many peers behind it, of which one is away.

use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tower_conn_retry::RetryOnConnErr;

use super::peer::*;

/// 200 calls a second for 20 s, of whose attempts this part fails, and fails sooner than an answer comes.
/// How long each of those that were answered took, the longest last.
async fn calls(part: f64, kind: io::ErrorKind) -> Vec<Duration> {
    let mut random = fastrand::Rng::with_seed(7);
    let peer = Peer::new(move |_| match random.f64() < part {
        true => Does::FailAfter(MS, kind),
        false => Does::AnswerAfter(2 * MS),
    });
    let service = peer.behind(RetryOnConnErr::new().give_up_after(20 * SECOND));
    let mut calls = Vec::new();
    for number in 0..4_000 {
        let began = Instant::now();
        let call = send(&service, message(number));
        calls.push(tokio::spawn(async move {
            let answer = call.await.unwrap();
            answer.map(|_| began.elapsed())
        }));
        pass(5 * MS).await;
    }
    let mut times = Vec::new();
    for call in calls {
        times.extend(call.await.unwrap());
    }
    times.sort();
    times
}

#[tokio::test(start_paused = true)]
async fn one_attempt_in_twenty_that_is_refused_is_no_outage_without_end() {
    let times = calls(0.05, io::ErrorKind::ConnectionRefused).await;
    assert_eq!(times.len(), 4_000);
    assert!(times[3_960] < SECOND, "{:?}", times[3_960]);
}

#[tokio::test(start_paused = true)]
async fn one_connection_in_ten_that_breaks_is_no_outage_without_end() {
    let times = calls(0.1, io::ErrorKind::ConnectionReset).await;
    assert_eq!(times.len(), 4_000);
    assert!(times[3_960] < SECOND, "{:?}", times[3_960]);
}
