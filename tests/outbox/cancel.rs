//! Callers come and go.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::poll;
use tokio::time::timeout;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::{
    BoxError, Destination, Limits, Observer, Outbox, Outcome, Reason, Replayable,
};

use super::{outcomes, with};
use crate::peer::*;

const SOON: Duration = Duration::from_secs(20);

fn surviving() -> Outbox<Message> {
    Outbox::builder().survive_cancel(true).in_memory()
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_moves_to_the_outbox_if_that_is_asked_for() {
    let peer = Peer::that(Does::Hang);
    let outbox = surviving();
    let service = with(&peer, &outbox);
    let hangs = send(&service, message(1));
    settle().await;
    peer.now_does(Does::Answer);
    hangs.abort();
    hangs.await.unwrap_err();
    outbox.flush().await;
    assert_eq!(peer.attempts(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn else_it_vanishes() {
    let peer = Peer::that(Does::Hang);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    let hangs = send(&service, message(1));
    settle().await;
    hangs.abort();
    hangs.await.unwrap_err();
    assert_eq!(outbox.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_is_not_sent_again() {
    let peer = Peer::that(Does::AnswerAfter(SECOND));
    let outbox = surviving();
    let service = with(&peer, &outbox);
    assert_eq!(call(&service, message(1)).await.unwrap(), 1);
    peer.now_does(Does::Refuse);
    call(&service, message(2)).await.unwrap_err();
    peer.now_does(Does::Answer);
    assert_eq!(call(&service, message(3)).await.unwrap(), 3);
    pass(SECOND).await;
    assert_eq!(peer.attempts(), [1, 2, 3]);
    assert!(outbox.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_never_polled_is_deferred_while_the_link_is_down() {
    let peer = Peer::that(REFUSED);
    let outbox = Outbox::in_memory();
    let service = with(&peer, &outbox);
    call(&service, message(1)).await.unwrap_err();
    drop(call(&service, message(2)));
    assert_eq!(outbox.len(), 2);
    peer.forget_attempts();
    peer.now_does(Does::Answer);
    outbox.flush().await;
    assert_eq!(peer.attempts(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn one_who_has_not_heard_that_it_is_full_leaves_a_dead_letter() {
    let peer = Peer::that(REFUSED);
    let limits = Limits::new().requests(1);
    let builder = Outbox::builder().limits(limits).survive_cancel(true);
    let outbox = builder.in_memory();
    let service = with(&peer, &outbox);
    let mut receipts = outbox.receipts();
    call(&service, message(1)).await.unwrap_err();
    let error = call(&service, message(2)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::QueueFull);
    drop(call(&service, message(3)));
    assert_eq!(outcomes(&mut receipts), [(2, Outcome::Dropped)]);
    let unheard = call(&service, message(4));
    peer.now_does(Does::Answer);
    outbox.flush().await;
    drop(unheard);
    outbox.flush().await;
    let arrived = peer.attempts().contains(&4);
    assert!(arrived, "there was room when its caller left");
    let dead = outbox.dead_letters();
    assert_eq!((dead.len(), dead[0].request().number), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_done_twice_is_a_dead_letter() {
    let peer = Peer::that(Does::Hang);
    let outbox = surviving();
    let service = with(&peer, &outbox);
    let hangs = send(
        &service,
        Message {
            idempotent: false,
            ..message(1)
        },
    );
    settle().await;
    hangs.abort();
    hangs.await.unwrap_err();
    assert_eq!(outbox.len(), 0);
    let dead = outbox.dead_letters();
    assert_eq!((dead.len(), dead[0].outcome()), (1, Outcome::Refused));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_found_its_service_broken_survives_its_caller() {
    let peer = Peer::that(Does::Answer);
    let outbox = Outbox::builder().survive_cancel(true).in_memory();
    let service = with(&peer, &outbox);
    peer.is_unready(Some(std::io::ErrorKind::ConnectionReset));
    drop(call(&service, message(1)));
    assert_eq!(outbox.len(), 1);
    peer.is_unready(None);
    timeout(SOON, outbox.flush()).await.expect("it goes");
    assert_eq!(peer.attempts(), [1]);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_not_sent_survives_though_it_may_not_be_done_twice() {
    let peer = Peer::that(Does::Hang);
    let outbox = surviving();
    let service = with(&peer, &outbox);
    let once = |number| Message {
        idempotent: false,
        ..message(number)
    };
    peer.is_unready(Some(io::ErrorKind::ConnectionReset));
    drop(call(&service, once(1)));
    assert_eq!(outbox.len(), 1, "nobody has called the service");
    peer.is_unready(None);
    peer.now_does(Does::Answer);
    timeout(SOON, outbox.flush()).await.expect("it goes");
    // This one is replayed at once, and may have been sent then.
    peer.is_unready(Some(io::ErrorKind::ConnectionReset));
    let mut hangs = Box::pin(call(&service, once(2)));
    peer.is_unready(None);
    peer.now_does(Does::Hang);
    assert!(poll!(&mut hangs).is_pending());
    assert_eq!(peer.attempts(), [1, 2]);
    drop(hangs);
    assert!(outbox.is_empty());
    assert_eq!(outbox.dead_letters().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_had_all_its_attempts_does_not_move() {
    let peer = Peer::that(Does::Hang);
    let outbox = surviving();
    let layer = steady().max_attempts(1).outbox(outbox.clone());
    let service = layer.layer(peer.client());
    let hangs = send(&service, message(1));
    settle().await;
    peer.now_does(Does::Answer);
    hangs.abort();
    hangs.await.unwrap_err();
    assert!(outbox.is_empty());
    let dead = outbox.dead_letters();
    assert_eq!((dead.len(), dead[0].outcome()), (1, Outcome::Refused));
    pass(60 * SECOND).await;
    assert_eq!(peer.attempts(), [1]);
}

/// Nor does one whose immediate replay is in flight, and each replay is told with its number.
#[tokio::test(start_paused = true)]
async fn the_attempts_of_one_that_moves_are_counted_on() {
    for (most, sent) in [(2, 2), (3, 3)] {
        let peer = Peer::that(Does::FailAfter(SECOND, io::ErrorKind::ConnectionReset));
        let (outbox, replays) = (surviving(), Replays::default());
        let layer = steady().max_attempts(most).observer(replays.clone());
        let service = layer.outbox(outbox.clone()).layer(peer.client());
        let broken = send(&service, message(1));
        settle().await;
        peer.now_does(Does::Hang);
        pass(SECOND).await;
        assert_eq!(peer.attempts(), [1, 1]);
        peer.now_does(Does::Answer);
        broken.abort();
        broken.await.unwrap_err();
        outbox.flush().await;
        assert_eq!(peer.attempts().len(), sent);
        assert_eq!(outbox.dead_letters().len(), 3 - sent);
        assert_eq!(*replays.0.lock().unwrap(), [2, 3][..sent - 1]);
    }
}

/// A body that may be used up.
#[derive(Clone)]
struct Stream {
    number: u64,
    used_up: Arc<AtomicBool>,
}

impl Replayable for Stream {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn can_replay(&self) -> bool {
        !self.used_up.load(Ordering::Relaxed)
    }
}

#[derive(Clone, Default)]
struct Replays(Arc<Mutex<Vec<u32>>>);

impl Observer for Replays {
    fn replay(&self, _: &Destination, attempt: u32) {
        self.0.lock().unwrap().push(attempt);
    }
}

#[tokio::test(start_paused = true)]
async fn what_moves_is_replayed_only_if_it_can_be_and_is_told_as_a_replay() -> Result<(), BoxError>
{
    let outbox = Outbox::builder().survive_cancel(true).in_memory();
    let sent = Arc::<Mutex<Vec<u64>>>::default();
    let hangs = Arc::<AtomicBool>::default();
    let replays = Replays::default();
    let layer = steady().observer(replays.clone()).outbox(outbox.clone());
    let mut service = layer.layer(service_fn({
        let (sent, hangs) = (sent.clone(), hangs.clone());
        move |stream: Stream| {
            sent.lock().unwrap().push(stream.number);
            let hangs = hangs.load(Ordering::Relaxed);
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, io::Error>(())
            }
        }
    }));
    for number in 1..=2 {
        let used_up = Arc::<AtomicBool>::default();
        let stream = Stream {
            number,
            used_up: used_up.clone(),
        };
        hangs.store(true, Ordering::Relaxed);
        let mut call = Box::pin(service.ready().await?.call(stream));
        assert!(poll!(&mut call).is_pending());
        used_up.store(number == 1, Ordering::Relaxed);
        hangs.store(false, Ordering::Relaxed);
        drop(call);
        outbox.flush().await;
    }
    assert_eq!(*sent.lock().unwrap(), [1, 2, 2]);
    assert_eq!(*replays.0.lock().unwrap(), [2]);
    let dead = outbox.dead_letters();
    let reasons = dead.iter().map(|it| it.error().map(|error| error.reason()));
    assert_eq!(
        reasons.collect::<Vec<_>>(),
        [Some(Reason::NotReplayable)],
        "the one that was used up"
    );
    Ok(())
}
