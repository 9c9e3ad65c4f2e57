//! Who reads on, with several clones at a time, in any order of polls and drops.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;

use tower_conn_retry::{ReplayBody, ReplayBodyError, is_conn_error};

use super::script::{
    Act, Gate, Message, Script, Wakes, data, failure, next, poll, rest, text, trailers,
};

fn body(acts: impl IntoIterator<Item = Act>) -> ReplayBody<Script> {
    ReplayBody::new(Script::new(acts), 100)
}

#[test]
fn every_clone_reads_data_and_trailers() {
    let acts = [
        data("one "),
        Act::Pending,
        data(""),
        data("two"),
        trailers("6"),
    ];
    let kept = body(acts.clone());
    for _ in 0..3 {
        assert_eq!(rest(&mut kept.clone()).unwrap(), Message::of(&acts));
    }
}

#[test]
fn data_is_shared_and_not_copied() {
    let acts = [data("one "), data("two")];
    let kept = body(acts.clone());
    for _ in 0..2 {
        let mut attempt = kept.clone();
        for act in &acts {
            let Act::Data(original) = act else {
                unreachable!()
            };
            assert_eq!(next(&mut attempt).as_ptr(), original.as_ptr());
        }
    }
}

#[test]
fn a_replay_goes_on_where_the_attempt_has_stopped() {
    let kept = body([data("one "), data("two "), data("three")]);
    let mut first = kept.clone();
    next(&mut first);
    drop(first);
    let mut second = kept.clone();
    next(&mut second);
    next(&mut second);
    drop(second);
    assert_eq!(text(&mut kept.clone()), "one two three");
}

#[test]
fn an_attempt_that_is_still_alive_ends_when_the_replay_begins() {
    let kept = body([data("one "), data("two "), data("three")]);
    let mut first = kept.clone();
    next(&mut first);
    let mut second = kept.clone();
    assert_eq!(next(&mut second), "one ");
    assert_eq!(failure(&mut first), ReplayBodyError::Superseded);
    assert_eq!(text(&mut second), "two three");
    // Even now: it may have missed something.
    assert_eq!(failure(&mut first), ReplayBodyError::Superseded);
}

#[test]
fn an_attempt_that_waits_for_the_body_hears_that_it_is_superseded() {
    let gate = Arc::new(Gate::default());
    let kept = body([data("one "), Act::Waits(gate.clone()), data("two")]);
    let (mut first, mut second) = (kept.clone(), kept.clone());
    let [old, new] = [Arc::new(Wakes::default()), Arc::new(Wakes::default())];
    next(&mut first);
    assert!(poll(&mut first, &old).is_pending());
    assert_eq!(old.count(), 0);

    next(&mut second);
    assert_eq!(old.count(), 1);
    assert_eq!(failure(&mut first), ReplayBodyError::Superseded);
    assert!(poll(&mut second, &new).is_pending());
    drop(first);
    gate.open();
    assert_eq!((old.count(), new.count()), (1, 1));
    assert_eq!(text(&mut second), "two");
}

#[test]
fn at_its_end_it_is_read_side_by_side() {
    let kept = body([data("one "), data("two")]);
    let mut first = kept.clone();
    next(&mut first);
    assert_eq!(text(&mut kept.clone()), "one two");
    let (mut second, mut third) = (kept.clone(), kept.clone());
    next(&mut second);
    next(&mut third);
    assert_eq!(
        (text(&mut second), text(&mut third)),
        ("two".into(), "two".into())
    );
    // It has read all that it was given, and nothing was taken from it.
    assert_eq!(text(&mut first), "two");
}

#[test]
fn a_failed_body_is_never_replayed() {
    let kept = body([data("one "), Act::Fails, data("two")]);
    let mut first = kept.clone();
    let mut early = kept.clone();
    next(&mut first);
    assert!(kept.can_replay());
    assert_eq!(
        rest(&mut first).unwrap_err().to_string(),
        "the disk is gone"
    );
    assert!(!kept.can_replay());
    for body in [&mut first, &mut early, &mut kept.clone()] {
        assert_eq!(failure(body), ReplayBodyError::NotReplayable);
        assert!(!http_body::Body::is_end_stream(body));
    }
}

#[test]
fn a_panic_of_the_body_ends_the_attempt_and_makes_it_unreplayable() {
    let kept = body([data("one "), Act::Panics, data("two")]);
    let mut first = kept.clone();
    next(&mut first);
    catch_unwind(AssertUnwindSafe(|| next(&mut first))).unwrap_err();
    assert!(!kept.can_replay());
    assert_eq!(failure(&mut first), ReplayBodyError::NotReplayable);
    assert_eq!(failure(&mut kept.clone()), ReplayBodyError::NotReplayable);
}

#[test]
fn the_body_is_dropped_at_its_end_or_with_the_last_clone() {
    let script = Script::new([data("one ")]);
    let dropped = script.dropped();
    let kept = ReplayBody::new(script, 100);
    text(&mut kept.clone());
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
    assert_eq!(text(&mut kept.clone()), "one ");

    let script = Script::new([data("one "), data("two")]);
    let dropped = script.dropped();
    let kept = ReplayBody::new(script, 100);
    let mut first = kept.clone();
    next(&mut first);
    drop(kept);
    assert_eq!(dropped.load(Ordering::Relaxed), 0);
    drop(first);
    assert_eq!(dropped.load(Ordering::Relaxed), 1);
}

#[test]
fn its_own_errors_are_no_connection_errors() {
    for error in [ReplayBodyError::NotReplayable, ReplayBodyError::Superseded] {
        assert!(!is_conn_error(&error));
        assert!(!is_conn_error(&std::io::Error::new(
            std::io::ErrorKind::ConnectionReset,
            error
        )));
    }
}

#[test]
fn it_is_for_any_body() {
    fn is_unpin<T: Unpin>() {}
    fn is_send_and_sync<T: Send + Sync>() {}
    is_unpin::<ReplayBody<std::marker::PhantomPinned>>();
    is_send_and_sync::<ReplayBody<std::cell::Cell<()>>>();

    // A `Buf` of another kind, in pieces.
    use bytes::Buf;
    use http_body_util::{BodyExt, Full};
    let inner = Full::new(bytes::Bytes::from_static(b"one ").chain(&b"two"[..]));
    let kept = ReplayBody::new(inner, 100);
    for _ in 0..2 {
        let Poll::Ready(Some(Ok(frame))) = poll(&mut kept.clone(), &Arc::default()) else {
            panic!("no data")
        };
        assert_eq!(frame.into_data().unwrap(), "one two");
    }
    // A body that isn't `Send`, with an error that is a `BoxError` already.
    let rc = std::rc::Rc::new(());
    let inner = http_body_util::Empty::<bytes::Bytes>::new().map_err(move |never| {
        let _ = &rc;
        tower_conn_retry::BoxError::from(never)
    });
    let mut body = ReplayBody::new(inner, 0);
    assert!(matches!(
        poll(&mut body, &Arc::default()),
        Poll::Ready(None)
    ));
}
