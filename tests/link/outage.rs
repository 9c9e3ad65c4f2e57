//! Rules 4, 5, 7 and 16: down, probing, backoff.

use std::io;
use std::time::Duration;

use tower_conn_retry::{ExponentialBackoff, Limits, RetryOnConnErr};

use super::peer::*;

/// A minute without the peer, and a thousand callers.
async fn minute_of_outage(spread: bool) {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(RetryOnConnErr::new());
    let mut calls = Vec::new();
    let gap = if spread { 50 * MS } else { Duration::ZERO };
    for number in 0..1_000 {
        calls.push(send(&service, message(number)));
        pass(gap).await;
    }
    pass(Duration::from_secs(60) - gap * 1_000).await;
    let during = peer.attempts().len();
    assert!(during <= 50, "{during} attempts for 1,000 requests");
    assert_eq!(peer.most_in_flight(), 1, "one probe at a time");

    peer.forget_attempts();
    peer.now_does(Does::Answer);
    let back = tokio::time::Instant::now();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), number as u64);
    }
    assert!(
        back.elapsed() <= Duration::from_secs(5),
        "recovery within the cap"
    );
    assert_eq!(
        peer.attempts(),
        (0..1_000).collect::<Vec<_>>(),
        "in order, none twice"
    );
    let summary = service.links().subscribe().borrow().clone();
    assert_eq!((summary.down(), summary.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn rule_4_a_burst_of_callers_makes_one_probe_at_a_time() {
    minute_of_outage(false).await;
}

#[tokio::test(start_paused = true)]
async fn rule_4_callers_that_come_during_the_outage_make_no_attempt_of_their_own() {
    minute_of_outage(true).await;
}

#[tokio::test(start_paused = true)]
async fn rule_4_a_failed_request_that_is_not_held_takes_the_link_down_too() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let once = Message {
        idempotent: false,
        ..message(1)
    };
    call(&service, once).await.unwrap_err();
    peer.now_does(Does::Answer);
    let next = send(&service, message(2));
    settle().await;
    assert_eq!(peer.attempts(), [1], "waits for the probe");
    assert_eq!(next.await.unwrap().unwrap(), 2);
    assert_eq!(peer.times()[1] - peer.times()[0], 100 * MS);
}

#[tokio::test(start_paused = true)]
async fn rule_5_delays_grow_up_to_the_cap() {
    let peer = Peer::that(REFUSED);
    let backoff = ExponentialBackoff::new().jitter(false);
    let service = peer.behind(RetryOnConnErr::new().backoff(backoff));
    let _held = send(&service, message(1));
    pass(Duration::from_secs(30)).await;
    let times = peer.times();
    let delays: Vec<_> = times
        .windows(2)
        .map(|pair| (pair[1] - pair[0]).as_millis())
        .collect();
    assert_eq!(
        delays,
        [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000]
    );
}

#[tokio::test(start_paused = true)]
async fn rule_5_connects_then_resets_keeps_backing_off() {
    // Every other attempt gets through, and the next one finds the connection dead: twice, so that
    // the immediate replay does not help.
    let mut n = 0;
    let peer = Peer::new(move |_| {
        n += 1;
        if n % 3 == 0 { Does::Answer } else { RESET }
    });
    let backoff = ExponentialBackoff::new().jitter(false);
    let service = peer.behind(RetryOnConnErr::new().backoff(backoff));
    let mut waits = Vec::new();
    for number in 0..5 {
        let before = tokio::time::Instant::now();
        call(&service, message(number)).await.unwrap();
        waits.push(before.elapsed().as_millis());
    }
    assert_eq!(waits, [100, 200, 400, 800, 1600]);
}

/// An outage of so many calls, this time after it, and the next one: after how many ms that is probed first.
async fn delay_of_the_next_outage(held: u64, quiet: Duration) -> u128 {
    let peer = Peer::that(REFUSED);
    let backoff = ExponentialBackoff::new().jitter(false);
    let service = peer.behind(RetryOnConnErr::new().backoff(backoff));
    let calls = burst(&service, 0..held);
    pass(150 * MS).await; // one probe has failed, the second is due at 300 ms
    peer.now_does(Does::Answer);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    pass(quiet).await;
    peer.now_does(REFUSED);
    peer.forget_attempts();
    let call = send(&service, message(held));
    settle().await;
    peer.now_does(Does::Answer);
    call.await.unwrap().unwrap();
    let times = peer.times();
    (times[1] - times[0]).as_millis()
}

#[tokio::test(start_paused = true)]
async fn rule_5_back_to_the_first_step_after_ten_quiet_seconds() {
    for (quiet, first) in [(9_900, 400), (10_100, 100)] {
        let delay = delay_of_the_next_outage(1, quiet * MS).await;
        assert_eq!(delay, first, "after {quiet} ms");
    }
}

/// A peer that serves, and fails now and then.
#[tokio::test(start_paused = true)]
async fn rule_5_back_to_the_first_step_after_eight_answers_of_the_backlog() {
    for (held, first) in [(7, 400), (8, 100)] {
        let delay = delay_of_the_next_outage(held, Duration::ZERO).await;
        assert_eq!(delay, first, "after {held} answers");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_5_never_less_than_the_minimum_between_probes() {
    let peer = Peer::that(RESET); // fails at once
    let layer = RetryOnConnErr::new().backoff(|| std::iter::repeat(Duration::ZERO));
    let service = peer.behind(layer);
    let _held = send(&service, message(1));
    pass(SECOND).await;
    let times = peer.times();
    assert!(times.len() > 50, "it goes on");
    // The first two are the attempt and its immediate replay.
    assert!(
        times[1..]
            .windows(2)
            .all(|pair| pair[1] - pair[0] >= 10 * MS)
    );
}

#[tokio::test(start_paused = true)]
async fn rule_7_destinations_do_not_block_each_other() {
    let peer = Peer::new(|message| match message.to {
        "a" => REFUSED,
        _ => Does::Answer,
    });
    let service = peer.behind(steady());
    let to = |to, number| Message {
        to,
        ..message(number)
    };
    let held = send(&service, to("a", 1));
    settle().await;
    for number in 2..10 {
        let call = call(&service, to("b", number));
        assert_eq!(
            futures_util::FutureExt::now_or_never(call)
                .unwrap()
                .unwrap(),
            number
        );
    }
    assert!(!held.is_finished());
    let status = service.links().status();
    assert_eq!(status.len(), 1, "an up link takes no room");
    assert_eq!(status[0].destination().to_string(), "a");
}

#[tokio::test(start_paused = true)]
async fn rule_16_wake_probes_now_and_then_from_the_first_step() {
    let peer = Peer::that(REFUSED);
    let backoff = ExponentialBackoff::new().jitter(false);
    let service = peer.behind(RetryOnConnErr::new().backoff(backoff));
    let _held = send(&service, message(1));
    pass(Duration::from_secs(20)).await;
    peer.forget_attempts();
    let woken = tokio::time::Instant::now();
    service.links().wake();
    pass(800 * MS).await;
    let after: Vec<_> = peer
        .times()
        .iter()
        .map(|at| (*at - woken).as_millis())
        .collect();
    assert_eq!(after, [0, 100, 300, 700]);
}

#[tokio::test(start_paused = true)]
async fn rule_5_not_even_a_storm_of_wakes_comes_below_the_minimum_between_probes() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(RetryOnConnErr::new());
    let _held = send(&service, message(1));
    settle().await;
    peer.forget_attempts();
    for _ in 0..1_000 {
        service.links().wake();
        pass(MS).await;
    }
    let times = peer.times();
    assert!((50..=100).contains(&times.len()), "{} probes", times.len());
    let gaps = times.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.min().unwrap() >= 10 * MS);
}

#[tokio::test(start_paused = true)]
async fn rule_16_wake_without_anybody_waiting_lets_the_next_call_probe() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(RetryOnConnErr::new().backoff(|| std::iter::repeat(60 * SECOND)));
    let once = Message {
        idempotent: false,
        ..message(1)
    };
    call(&service, once).await.unwrap_err();
    service.links().wake();
    peer.now_does(Does::Answer);
    assert_eq!(call(&service, message(2)).await.unwrap(), 2);
    assert_eq!(peer.times()[1], peer.times()[0]);
}

#[tokio::test(start_paused = true)]
async fn idle_destinations_are_forgotten() {
    let names: Vec<&'static str> = (0..100).map(|n| &*format!("{n}").leak()).collect();
    let mut n = 0;
    let peer = Peer::new(move |_| {
        n += 1;
        if n % 2 == 1 {
            Does::Fail(io::ErrorKind::TimedOut)
        } else {
            Does::Answer
        }
    });
    let service = peer.behind(steady().limits(Limits::new().requests(1)));
    for to in names {
        let message = Message { to, ..message(0) };
        call(&service, message).await.unwrap();
    }
    assert!(service.links().status().len() >= 90);
    pass(Duration::from_secs(21)).await;
    assert_eq!(service.links().status().len(), 0);
    // A destination that went down and that nobody asks for any more is forgotten too.
    peer.now_does(Does::Fail(io::ErrorKind::TimedOut));
    let once = Message {
        idempotent: false,
        to: "gone",
        number: 1,
    };
    call(&service, once).await.unwrap_err();
    assert_eq!(service.links().subscribe().borrow().down(), 1);
    pass(Duration::from_secs(615)).await;
    assert_eq!(service.links().status().len(), 0);
    assert_eq!(service.links().subscribe().borrow().down(), 0);
}
