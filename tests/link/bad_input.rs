//! Settings and services that make no sense have a defined outcome.

use std::time::Duration;

use futures_util::FutureExt;
use tower::{Layer, Service, ServiceExt};
use tower_conn_retry::{ConnErrorKind, Decision, Reason, RetryOnConnErr};

use super::peer::*;

#[tokio::test(start_paused = true)]
async fn give_up_after_zero_waits_for_nothing() {
    let peer = Peer::that(Does::Answer);
    let service = peer.behind(RetryOnConnErr::new().give_up_after(Duration::ZERO));
    assert_eq!(
        call(&service, message(1)).await.unwrap(),
        1,
        "ready at its first poll"
    );
    peer.now_does(Does::Hang);
    let error = call(&service, message(2)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::GaveUp);
    let peer = Peer::that(REFUSED);
    let service = peer.behind(RetryOnConnErr::new().give_up_after(Duration::ZERO));
    let error = call(&service, message(3)).await.unwrap_err();
    assert_eq!((error.reason(), error.attempts()), (Reason::GaveUp, 1));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_timeout_of_zero_needs_an_answer_at_the_first_poll() {
    let peer = Peer::that(Does::Answer);
    let service = peer.behind(steady().attempt_timeout(Duration::ZERO).max_attempts(1));
    assert_eq!(call(&service, message(1)).await.unwrap(), 1);
    peer.now_does(Does::AnswerAfter(MS));
    let error = call(&service, message(2)).await.unwrap_err();
    assert_eq!(kind_of(&error), Some(ConnErrorKind::Timeout));
}

#[tokio::test(start_paused = true)]
async fn durations_without_end_do_not_overflow() {
    let layer = RetryOnConnErr::new()
        .attempt_timeout(Duration::MAX)
        .give_up_after(Duration::MAX)
        .backoff(|| [MS, Duration::MAX].into_iter());
    let peer = Peer::that(REFUSED);
    let service = peer.behind(layer);
    let held = send(&service, message(1));
    let next = send(&service, message(2));
    let last = send(&service, message(3)); // three in line are watched
    pass(Duration::from_secs(1 << 20)).await;
    assert_eq!(peer.attempts().len(), 2, "the next probe is never");
    assert!(!held.is_finished() && !next.is_finished());
    peer.now_does(Does::Answer);
    service.links().wake();
    for call in [held, next, last] {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn max_attempts_of_zero_counts_as_one() {
    let peer = Peer::that(REFUSED);
    let service = peer.behind(RetryOnConnErr::new().max_attempts(0));
    let error = call(&service, message(1)).await.unwrap_err();
    assert_eq!(
        (error.reason(), error.attempts()),
        (Reason::AttemptsExhausted, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn an_inner_service_that_is_never_ready_is_never_ready() {
    #[derive(Clone)]
    struct Never;

    impl Service<Message> for Never {
        type Response = u64;
        type Error = std::io::Error;
        type Future = std::future::Ready<Result<u64, Self::Error>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Pending
        }

        fn call(&mut self, _: Message) -> Self::Future {
            unreachable!()
        }
    }

    let mut service = RetryOnConnErr.layer(Never);
    assert!(
        ServiceExt::<Message>::ready(&mut service)
            .now_or_never()
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_always_replays_ends_with_give_up_after() {
    struct Always;

    impl tower_conn_retry::ConnErrorPolicy<Message> for Always {
        fn decide(&self, _: &tower_conn_retry::Failure<'_, Message>) -> Decision {
            Decision::Replay
        }
    }

    let peer = Peer::that(RESET);
    let service = peer.behind(steady().policy(Always).give_up_after(5 * SECOND));
    let once = Message {
        idempotent: false,
        ..message(1)
    };
    let error = call(&service, once).await.unwrap_err();
    assert_eq!(error.reason(), Reason::GaveUp);
    assert!(error.attempts() <= 53, "and never in a busy loop");
}

#[tokio::test(start_paused = true)]
async fn a_backoff_that_panics_ends_only_its_own_call() {
    let mut first = true;
    let mutex = std::sync::Mutex::new(move || std::mem::take(&mut first));
    let service_backoff = move || {
        let panics = (mutex.lock().unwrap())();
        std::iter::repeat_with(move || if panics { panic!("as told") } else { 100 * MS })
    };
    let peer = Peer::that(REFUSED);
    let service = peer.behind(RetryOnConnErr::new().backoff(service_backoff));
    let panicked = send(&service, message(1));
    let waits = send(&service, message(2));
    assert!(panicked.await.unwrap_err().is_panic());
    peer.now_does(Does::Answer);
    assert_eq!(waits.await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "polled after it was ready")]
async fn a_future_that_is_polled_after_its_end_panics() {
    let peer = Peer::that(Does::Answer);
    let mut future = call(&peer.behind(RetryOnConnErr), message(1));
    (&mut future).now_or_never().unwrap().unwrap();
    let _ = future.now_or_never();
}

/// A request whose destination can't be told, with something to be dropped.
#[derive(Clone)]
struct Untold(#[allow(dead_code)] std::sync::Arc<()>);

impl tower_conn_retry::Replayable for Untold {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn destination_hash(&self) -> u64 {
        panic!("what is wrong here is on purpose")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_a_request_that_was_answered_loses_nothing_of_it() {
    let (counted, answered) = <(std::sync::Arc<()>, std::sync::Arc<()>)>::default();
    let answer = answered.clone();
    let echo = tower::service_fn(move |_: Untold| {
        let answer = answer.clone();
        async move { Ok::<_, std::io::Error>(answer) }
    });
    let service = RetryOnConnErr.layer(echo);
    let call = tokio::spawn(service.oneshot(Untold(counted.clone())));
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(std::sync::Arc::strong_count(&counted), 1);
    assert_eq!(std::sync::Arc::strong_count(&answered), 1);
}
