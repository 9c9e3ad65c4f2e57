//! How much is kept.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::Request;
use tower_conn_retry::{ReplayBody, ReplayBodyError, ReplayBodyLayer, Replayable};

use super::script::{Act, Script, data, failure, next, poll, rest, text, trailers};

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
    let acts = [Act::Data(owned), data("two")];
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
        let acts = [Act::Data(owned), data("two")];
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

/// Of no use to anybody.
#[test]
fn what_is_kept_of_a_body_that_fails_is_freed() {
    for fails in [Act::Fails, Act::Panics] {
        let freed = Arc::new(());
        let owned = Bytes::from_owner(Owned(freed.clone()));
        let script = Script::new([Act::Data(owned), fails, data("two")]);
        let kept = layered(Request::put("http://a/").body(script).unwrap(), 7);
        let mut first = kept.try_clone().unwrap();
        let before = kept.size_hint();
        drop(next(first.body_mut()));
        assert_eq!(Arc::strong_count(&freed), 2);
        let failure = catch_unwind(AssertUnwindSafe(|| next(first.body_mut())));
        assert!(failure.is_err());
        assert_eq!(Arc::strong_count(&freed), 1);
        assert_eq!(kept.size_hint(), before);
        assert!(!kept.can_replay());
    }
}

/// The answer's head has come, say, and the body goes on: a conversation that may take hours.
#[test]
fn the_last_clone_keeps_nothing_of_what_it_reads() {
    let freed = [Arc::new(()), Arc::new(())];
    let owned = |n: usize| Act::Data(Bytes::from_owner(Owned(freed[n].clone())));
    let acts = [owned(0), owned(1), data("three"), trailers("3")];
    let kept = ReplayBody::new(Script::new(acts), usize::MAX);
    let mut first = kept.clone();
    drop(next(&mut first));
    assert_eq!(Arc::strong_count(&freed[0]), 2);
    drop(kept);
    assert!(first.can_replay());
    drop(next(&mut first));
    assert_eq!(freed.each_ref().map(Arc::strong_count), [1, 1]);
    assert!(!first.can_replay());
    // What it would take to read it all again is gone, and is not taken for all there was.
    let mut late = first.clone();
    assert_eq!(failure(&mut late), ReplayBodyError::NotReplayable);
    assert_eq!(text(&mut first), "three");
}

/// It reads what an earlier one has read, and then on.
#[test]
fn the_last_clone_reads_what_is_kept_first() {
    let kept = ReplayBody::new(Script::new([data("one "), data("two "), data("three")]), 20);
    let mut first = kept.clone();
    next(&mut first);
    next(&mut first);
    drop(first);
    let mut last = kept;
    assert_eq!(text(&mut last), "one two three");
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

/// Also before it is read, and it is the same after.
#[test]
fn the_request_counts_what_its_body_is_known_to_have() {
    let size = |script: Script| {
        let kept = layered(Request::put("http://a/").body(script).unwrap(), 20);
        let before = kept.size_hint();
        let mut first = kept.try_clone().unwrap();
        next(first.body_mut());
        let begun = kept.size_hint();
        text(first.body_mut());
        [before, begun, kept.size_hint()]
    };
    let script = || Script::new([data("one "), data("two")]);
    let none = size(Script::new([data("")]))[0];
    assert_eq!(size(script()).map(|size| size - none), [0, 4, 7]);
    assert_eq!(
        size(script().at_least(2)).map(|size| size - none),
        [2, 6, 7]
    );
    assert_eq!(size(script().sized()).map(|size| size - none), [7, 7, 7]);
    // No more than is kept.
    let long = Script::new([data("a body that is longer than the cap")]).sized();
    assert_eq!(size(long)[0] - none, 20);
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
