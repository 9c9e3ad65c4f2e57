//! When the link is back, and all that was deferred is on its way, calls have attempts of their own again.

use tower_conn_retry::{Limits, Outbox, WhenFull};

use super::faulty::with_leftovers;
use super::with;
use crate::peer::*;

#[tokio::test(start_paused = true)]
async fn a_caller_who_does_not_wait_for_the_answers_has_them_again() {
    let (peer, outbox) = (Peer::that(REFUSED), Outbox::in_memory());
    let service = with(&peer, &outbox);
    for number in 0..50 {
        assert!(
            call(&service, message(number))
                .await
                .unwrap_err()
                .is_deferred()
        );
    }
    peer.forget_attempts();
    peer.now_does(Does::AnswerAfter(50 * MS));
    let mut calls = Vec::new();
    for number in 50..250 {
        calls.push(send(&service, message(number)));
        pass(20 * MS).await;
    }
    let mut ends = Vec::new();
    for call in calls {
        ends.push(call.await.unwrap());
    }
    let deferred = ends.iter().filter(|end| end.is_err()).count();
    assert!(deferred < 50, "{deferred}");
    assert!(ends[..deferred].iter().all(Result::is_err));
    assert_eq!(peer.attempts(), (0..250).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn not_while_one_has_not_been_sent() {
    let peer = Peer::that(Does::AnswerAfter(SECOND));
    let outbox = with_leftovers(0..40);
    let service = with(&peer, &outbox);
    pass(500 * MS).await;
    // As many as may be are on their way.
    assert_eq!(peer.attempts(), (0..32).collect::<Vec<_>>());
    assert!(call(&service, message(40)).await.unwrap_err().is_deferred());
    pass(SECOND).await;
    // Now the others are, too.
    assert_eq!(peer.attempts(), (0..41).collect::<Vec<_>>());
    assert_eq!(outbox.len(), 9);
    assert_eq!(call(&service, message(41)).await.unwrap(), 41);
}

#[tokio::test(start_paused = true)]
async fn not_while_one_waits_for_room() {
    let peer = Peer::that(REFUSED);
    let limits = Limits::new().requests(2);
    let outbox = Outbox::builder().limits(limits).when_full(WhenFull::Wait);
    let outbox = outbox.in_memory();
    let service = with(&peer, &outbox);
    let mut calls = Vec::new();
    for number in 0..40 {
        if number == 5 {
            peer.forget_attempts();
            peer.now_does(Does::AnswerAfter(SECOND));
        }
        calls.push(send(&service, message(number)));
        pass(50 * MS).await;
    }
    for call in calls {
        if let Err(error) = call.await.unwrap() {
            assert!(error.is_deferred(), "{error}");
        }
    }
    outbox.flush().await;
    assert_eq!(peer.attempts(), (0..40).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_on_its_way_is_delivered_all_the_same() {
    let reset = Does::FailAfter(SECOND, std::io::ErrorKind::ConnectionReset);
    let peer = Peer::new(move |message| match message.number {
        0 => reset,
        _ => Does::Answer,
    });
    let outbox = with_leftovers(0..1);
    let service = with(&peer, &outbox);
    pass(500 * MS).await;
    assert_eq!((peer.attempts(), outbox.len()), (vec![0], 1));
    assert_eq!(call(&service, message(1)).await.unwrap(), 1);
    pass(SECOND).await;
    // Its connection broke: it is replayed at once, and others are not held up.
    assert_eq!(peer.attempts(), [0, 1, 0]);
    assert_eq!(call(&service, message(2)).await.unwrap(), 2);
    pass(SECOND).await;
    // That broke, too, so the link is down, and it goes before all that come now.
    assert!(call(&service, message(3)).await.unwrap_err().is_deferred());
    peer.now_does(Does::Answer);
    outbox.flush().await;
    let mut attempts = peer.attempts();
    attempts.dedup();
    assert_eq!(attempts, [0, 1, 0, 2, 0, 3]);
}
