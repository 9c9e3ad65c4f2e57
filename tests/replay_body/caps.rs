//! How much is kept.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::Request;
use tower_conn_retry::{ReplayBody, ReplayBodyError, ReplayBodyLayer, Replayable};

use super::script::{Script, data, failure, next, poll, rest, text, trailers};

#[test]
fn exactly_the_cap_is_kept() {
    for cap in [7, 8, usize::MAX] {
        let kept = ReplayBody::new(Script::new([data("one "), data("two")]), cap);
        text(&mut kept.clone());
        assert!(kept.can_replay());
        assert_eq!(text(&mut kept.clone()), "one two");
    }
}

#[test]
fn over_the_cap_it_streams_on_and_is_not_replayed() {
    for cap in [0, 3, 4, 6] {
        let kept = ReplayBody::new(
            Script::new([data("one "), data("two"), data(" three")]),
            cap,
        );
        let mut first = kept.clone();
        next(&mut first);
        assert_eq!(kept.can_replay(), cap >= 4);
        next(&mut first);
        assert!(!kept.can_replay());
        assert_eq!(failure(&mut kept.clone()), ReplayBodyError::NotReplayable);
        assert_eq!(text(&mut first), " three");
        assert_eq!(failure(&mut kept.clone()), ReplayBodyError::NotReplayable);
    }
}

#[test]
fn what_was_superseded_before_the_cap_stays_superseded_after_it() {
    let kept = ReplayBody::new(Script::new([data("one "), data("two"), data(" three")]), 4);
    let mut first = kept.clone();
    next(&mut first);
    let mut second = kept.clone();
    assert_eq!(text(&mut second), "one two three");
    assert_eq!(failure(&mut first), ReplayBodyError::Superseded);
    assert_eq!(failure(&mut kept.clone()), ReplayBodyError::NotReplayable);
}

#[test]
fn trailers_count() {
    for (cap, fits) in [(8, false), (9, true)] {
        let kept = ReplayBody::new(Script::new([data("one"), trailers("3")]), cap);
        rest(&mut kept.clone()).unwrap();
        assert_eq!(kept.can_replay(), fits);
    }
}

#[test]
fn of_a_body_that_says_it_is_too_large_nothing_is_kept() {
    let freed = Arc::new(());
    let owned = Bytes::from_owner(Owned(freed.clone()));
    let acts = [super::script::Act::Data(owned), data("two")];
    let kept = ReplayBody::new(Script::new(acts).sized(), 6);
    assert!(kept.can_replay());
    let mut first = kept.clone();
    drop(next(&mut first));
    assert_eq!(Arc::strong_count(&freed), 1);
    assert!(!kept.can_replay());
    assert_eq!(text(&mut first), "two");
}

#[test]
fn what_is_kept_is_freed_over_the_cap_and_with_the_last_clone() {
    for over in [false, true] {
        let freed = Arc::new(());
        let owned = Bytes::from_owner(Owned(freed.clone()));
        let acts = [super::script::Act::Data(owned), data("two")];
        let kept = ReplayBody::new(Script::new(acts), if over { 4 } else { 7 });
        let mut first = kept.clone();
        drop(next(&mut first));
        assert_eq!(Arc::strong_count(&freed), 2);
        next(&mut first);
        assert_eq!(Arc::strong_count(&freed), if over { 1 } else { 2 });
        drop(first);
        drop(kept);
        assert_eq!(Arc::strong_count(&freed), 1);
    }
}

/// Four bytes that are somebody's.
struct Owned(#[allow(dead_code, reason = "is counted")] Arc<()>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        b"one "
    }
}

/// The request that the layer makes of this one.
fn layered(request: Request<Script>, cap: usize) -> Request<ReplayBody<Script>> {
    use tower::{Layer, Service};
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut service = ReplayBodyLayer::new(cap).layer(tower::service_fn(move |request| {
        sender.send(request).unwrap();
        std::future::ready(Ok::<_, std::convert::Infallible>(()))
    }));
    drop(service.call(request));
    receiver.recv().unwrap()
}

#[test]
fn the_request_says_what_became_of_its_body() {
    let script = || Script::new([data("one "), data("two")]);
    let kept = layered(Request::put("http://a/").body(script()).unwrap(), 4);
    assert!(kept.can_replay());
    let mut first = kept.try_clone().unwrap();
    let before = kept.size_hint();
    next(first.body_mut());
    assert!(kept.can_replay() && first.can_replay());
    assert_eq!(kept.size_hint(), before + 4);

    let mut second = kept.try_clone().unwrap();
    text(second.body_mut());
    assert!(!kept.can_replay() && !second.can_replay());
    assert_eq!(kept.size_hint(), before);
}

/// The request is asked, says yes, and the old attempt, which nobody has told yet, reads on.
#[test]
fn a_request_that_has_said_yes_can_be_replayed() {
    let script = Script::new([data("one "), data("two")]);
    let kept = layered(Request::put("http://a/").body(script).unwrap(), 4);
    let mut first = kept.try_clone().unwrap();
    next(first.body_mut());
    assert!(kept.can_replay());
    let old = poll(first.body_mut(), &Arc::default());
    assert!(matches!(old, Poll::Ready(Some(Err(_)))), "{old:?}");
    assert_eq!(text(kept.try_clone().unwrap().body_mut()), "one two");
}
