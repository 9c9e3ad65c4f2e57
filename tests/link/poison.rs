//! Rule 8: a request that breaks the connection does not hold up the others for ever.

use std::io;

use tower_conn_retry::{ConnErrorKind, Reason};

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn rule_8_the_head_is_failed_when_another_one_gets_through() {
    let peer = Peer::new(|message| {
        if message.number == 0 {
            RESET
        } else {
            Does::Answer
        }
    });
    let service = peer.behind(steady());
    let poison = send(&service, message(0));
    settle().await;
    let others = burst(&service, 1..5);
    let error = poison.await.unwrap().unwrap_err();
    assert_eq!(error.reason(), Reason::Poisoned);
    assert_eq!(kind_of(&error), Some(ConnErrorKind::Reset));
    assert_eq!(
        error.attempts(),
        5,
        "the first, three replays, and one after another got through"
    );
    for other in others {
        other.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), [0, 0, 0, 0, 1, 0, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn rule_8_in_an_outage_that_looks_the_same_nobody_is_failed() {
    // The peer comes back at the turn of the head, or of the second: that the second gets through
    // is no proof against the head.
    for back in [10_000, 10_100] {
        let peer = Peer::that(RESET);
        let service = peer.behind(steady());
        let calls = burst(&service, 0..5);
        pass(back * MS).await;
        peer.forget_attempts();
        peer.now_does(Does::Answer);
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap().unwrap(), number as u64);
        }
        let first = peer.attempts()[0];
        assert_eq!(first, u64::from(back == 10_100), "whose turn it was");
        assert_eq!(peer.attempts()[2..], [2, 3, 4]);
    }
}

#[tokio::test(start_paused = true)]
async fn rule_8_what_was_not_sent_broke_nothing() {
    let peer = Peer::that(Does::Answer);
    let service = peer.behind(steady());
    peer.is_unready(Some(io::ErrorKind::ConnectionReset)); // before the request is handed over
    let calls = burst(&service, 0..3);
    pass(10 * SECOND).await;
    peer.is_unready(None);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(peer.attempts(), [0, 1, 2], "the head was never passed over");
}

#[tokio::test(start_paused = true)]
async fn rule_8_alone_it_is_kept() {
    let peer = Peer::that(RESET);
    let service = peer.behind(steady());
    let call = send(&service, message(0));
    pass(10 * SECOND).await;
    assert!(!call.is_finished());
    peer.now_does(Does::Answer);
    call.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn rule_8_an_outage_of_another_kind_poisons_nobody() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let calls = burst(&service, 0..5);
    pass(10 * SECOND).await;
    assert!(
        peer.attempts()[5..].iter().all(|number| *number == 0),
        "always the head"
    );
    peer.now_does(Does::Answer);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn rule_8_two_poisonous_requests_are_both_found() {
    let peer = Peer::new(|message| match message.number {
        0 | 1 => Does::Fail(io::ErrorKind::UnexpectedEof),
        _ => Does::Answer,
    });
    let service = peer.behind(steady());
    let calls = burst(&service, 0..2);
    settle().await;
    let others = burst(&service, 2..6);
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().reason(), Reason::Poisoned);
    }
    for other in others {
        other.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn in_order_nobody_passes_the_head() {
    let peer = Peer::that(RESET);
    let service = peer.behind(steady().in_order());
    let calls = burst(&service, 0..5);
    settle().await;
    peer.forget_attempts();
    pass(10 * SECOND).await;
    assert!(peer.attempts().len() > 50);
    assert!(peer.attempts().iter().all(|number| *number == 0));
    peer.now_does(Does::Answer);
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn rule_8_who_broke_in_company_is_not_blamed() {
    // An HTTP/2 connection takes several requests at once, and breaks under all of them.
    let peer = Peer::that(REFUSED);
    let service = peer.behind(steady());
    let calls = burst(&service, 0..20);
    settle().await;
    for (head, answers) in [(0, 4), (4, 4), (8, 1)] {
        peer.forget_attempts();
        let mut left = answers;
        peer.now(move |_| match left {
            0 => Does::FailAfter(MS, io::ErrorKind::ConnectionReset),
            _ => {
                left -= 1;
                Does::Answer
            }
        });
        pass(105 * MS).await;
        assert_eq!(peer.attempts()[0], head, "nobody is passed over");
        assert!(answers == 1 || peer.most_in_flight() == 8);
    }
    peer.now_does(Does::Answer);
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), number as u64);
    }
}
