//! Rule 6: recovery drains in order.

use std::io;

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn rule_6_first_in_first_out_by_first_call() {
    let peer = Peer::new(|message| {
        // Later messages fail earlier, so they join the backlog first.
        Does::FailAfter((100 - message.number as u32) * MS, io::ErrorKind::TimedOut)
    });
    let service = peer.behind(steady());
    let calls = burst(&service, 0..50);
    pass(110 * MS).await;
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), (0..50).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn rule_6_the_window_starts_at_one_and_doubles_with_each_success() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let calls = burst(&service, 0..40);
    settle().await;
    peer.forget_attempts();
    peer.now_does(Does::AnswerAfter(SECOND));
    pass(150 * MS).await;
    let mut steps = Vec::new();
    for _ in 0..5 {
        steps.push(peer.attempts().len());
        pass(SECOND).await;
    }
    // The probe; then 1; its success makes the window 2; these two make it 8; these eight 2,048.
    assert_eq!(steps, [1, 2, 4, 12, 40]);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn rule_6_new_calls_stay_behind_the_backlog_until_it_is_empty() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let mut calls = burst(&service, 0..4);
    settle().await;
    peer.forget_attempts();
    peer.now_does(Does::AnswerAfter(SECOND));
    pass(200 * MS).await; // the probe is in flight
    calls.push(send(&service, message(4)));
    pass(SECOND).await; // draining
    calls.push(send(&service, message(5)));
    assert!(service.links().status()[0].is_up());
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn rule_6_a_drain_that_fails_goes_back_to_one_probe() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let calls = burst(&service, 0..10);
    settle().await;
    peer.forget_attempts();
    peer.now(|message| match message.number {
        0 | 1 => Does::Answer,
        _ => REFUSED,
    });
    pass(150 * MS).await;
    // The probe, one more, and the first of two, which finds the peer gone before the next is let go.
    assert_eq!(peer.attempts(), [0, 1, 2]);
    assert!(!service.links().status()[0].is_up());
    assert_eq!(service.links().status()[0].waiting(), 8);
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), (2..10).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn rule_6_requests_that_hang_from_before_the_outage_do_not_hold_up_the_drain() {
    let peer = Peer::that(Does::Hang);
    let service = peer.behind(steady());
    let hanging = burst(&service, 0..5);
    settle().await;
    peer.now_does(REFUSED);
    let calls = burst(&service, 5..9);
    settle().await;
    // A drain whose first request hangs too.
    peer.now(|message| {
        if message.number == 6 {
            Does::Hang
        } else {
            Does::Answer
        }
    });
    pass(SECOND).await;
    assert_eq!(
        service.links().status()[0].waiting(),
        3,
        "6 hangs in a window of one"
    );
    drop(hanging);
    calls[1].abort();
    for call in [0, 2, 3] {
        pass(SECOND).await;
        assert!(calls[call].is_finished(), "{call}");
    }
}
