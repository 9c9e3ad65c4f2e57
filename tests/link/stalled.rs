//! Rule 17 in flight: a caller whose attempt has an answer for it, and who does not come for it.

use std::future::Future;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::peer::*;

/// Polled once, by nobody who could be woken.
fn poll_once(call: &mut (impl Future + Unpin)) {
    assert!(call.now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn rule_17_a_probe_whose_answer_nobody_hears_passes_on_after_a_step() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let mut stalled = call(&service, message(0));
    poll_once(&mut stalled);
    let next = send(&service, message(1));
    let last = send(&service, message(2));
    pass(100 * MS).await;
    peer.now_does(Does::AnswerAfter(10 * MS));
    peer.forget_attempts();
    poll_once(&mut stalled); // its probe is in flight
    let began = Instant::now();
    assert_eq!(next.await.unwrap().unwrap(), 1);
    assert_eq!(began.elapsed().as_millis(), 10 + 100 + 10);
    assert_eq!(last.await.unwrap().unwrap(), 2);
    // It is not lost, nor sent again.
    assert_eq!(stalled.await.unwrap(), 0);
    assert_eq!(peer.attempts(), [0, 1, 2]);
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_17_answers_that_nobody_hears_do_not_hold_up_a_drain() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let first = send(&service, message(0));
    settle().await;
    let mut stalled = [1, 2].map(|number| call(&service, message(number)));
    stalled.iter_mut().for_each(poll_once);
    let others = burst(&service, 3..9);
    settle().await;
    peer.now_does(Does::AnswerAfter(10 * MS));
    first.await.unwrap().unwrap();
    peer.forget_attempts();
    let began = Instant::now();
    poll_once(&mut stalled[0]); // it has the only place in the window now
    assert_eq!(peer.attempts(), [1]);
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert!(began.elapsed() <= 400 * MS, "{:?}", began.elapsed());
    for (number, call) in (1..).zip(stalled) {
        assert_eq!(call.await.unwrap(), number);
    }
    assert_eq!(service.links().subscribe().borrow().waiting(), 0);
}

#[tokio::test(start_paused = true)]
async fn rule_4_a_probe_that_takes_long_and_is_polled_stays_the_only_one() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let calls = burst(&service, 0..5);
    settle().await;
    peer.forget_attempts();
    peer.now_does(Does::AnswerInSteps(200)); // of 10 ms, each of which wakes the caller
    pass(2 * SECOND).await;
    assert_eq!(peer.attempts(), [0]);
    peer.now_does(Does::Answer);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), [0, 1, 2, 3, 4]);
}
