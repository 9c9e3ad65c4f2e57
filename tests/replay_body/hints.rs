//! What it says about its length and its end.

use std::sync::Arc;

use http_body::Body;
use tower_conn_retry::ReplayBody;

use super::script::{Act, Script, data, next, poll, rest, text, trailers};

fn hint(body: &ReplayBody<Script>) -> (u64, Option<u64>) {
    let hint = body.size_hint();
    (hint.lower(), hint.upper())
}

#[test]
fn of_a_known_length_it_is_exact_for_every_attempt() {
    let kept = ReplayBody::new(Script::new([data("one "), data("two")]).sized(), 100);
    let mut first = kept.clone();
    assert_eq!(hint(&first), (7, Some(7)));
    next(&mut first);
    assert_eq!(hint(&first), (3, Some(3)));
    let mut second = kept.clone();
    assert_eq!(hint(&second), (7, Some(7)));
    next(&mut second);
    assert_eq!(hint(&second), (3, Some(3)));
    next(&mut second);
    assert_eq!(hint(&second), (0, Some(0)));
    assert_eq!(hint(&first), (0, None)); // it can't read on
    assert_eq!(hint(&kept.clone()), (7, Some(7)));
}

#[test]
fn of_an_unknown_length_it_is_exact_when_all_is_there() {
    let kept = ReplayBody::new(Script::new([data("one "), data("two")]).at_least(2), 100);
    let mut first = kept.clone();
    assert_eq!(hint(&first), (2, None));
    next(&mut first);
    assert_eq!(hint(&kept.clone()), (6, None));
    assert_eq!(text(&mut first), "two");
    let mut second = kept.clone();
    assert_eq!(hint(&second), (7, Some(7)));
    next(&mut second);
    assert_eq!(hint(&second), (3, Some(3)));
}

/// HTTP/1 sends no trailers after a body whose length it was told.
#[test]
fn with_trailers_a_replay_is_no_more_exact_than_the_attempt() {
    let acts = [data("one"), trailers("3")];
    let kept = ReplayBody::new(Script::new(acts.clone()), 100);
    rest(&mut kept.clone()).unwrap();
    assert_eq!(hint(&kept.clone()), (3, None));
    let kept = ReplayBody::new(Script::new(acts).sized(), 100);
    rest(&mut kept.clone()).unwrap();
    assert_eq!(hint(&kept.clone()), (3, Some(3)));
}

/// Else a replay would say how long it is in truth, and part of a body would pass for a whole one.
#[test]
fn a_body_that_is_not_as_long_as_it_says_is_not_replayed() {
    for tells_end in [false, true] {
        for (says, replays) in [(0, false), (3, false), (6, false), (7, true), (8, false)] {
            let mut script = Script::new([data("one "), data("two")]).says(says);
            if tells_end {
                script = script.tells_end();
            }
            let kept = ReplayBody::new(script, 100);
            let mut first = kept.clone();
            assert_eq!(hint(&first), (says, Some(says)));
            assert_eq!(text(&mut first), "one two", "as without a `ReplayBody`");
            assert_eq!(kept.can_replay(), replays, "{says}");
            assert_eq!(rest(&mut kept.clone()).is_ok(), replays, "{says}");
        }
    }
}

#[test]
fn over_the_cap_it_is_that_of_the_rest() {
    let kept = ReplayBody::new(Script::new([data("one "), data("two")]).sized(), 1);
    let mut first = kept.clone();
    next(&mut first);
    assert_eq!(hint(&first), (3, Some(3)));
    assert_eq!(hint(&kept.clone()), (0, None));
    next(&mut first);
    assert_eq!(hint(&first), (0, Some(0)));
}

#[test]
fn it_is_at_its_end_when_all_was_read() {
    for tells_end in [false, true] {
        for acts in [vec![data("one")], vec![data("one"), trailers("3")]] {
            let script = Script::new(acts.clone());
            let script = if tells_end {
                script.tells_end()
            } else {
                script
            };
            let kept = ReplayBody::new(script, 100);
            for attempt in 0..3 {
                let mut body = kept.clone();
                for _ in &acts {
                    assert!(!body.is_end_stream());
                    assert!(poll(&mut body, &Arc::default()).is_ready());
                }
                // The first attempt has to look, if the body does not tell.
                assert_eq!(body.is_end_stream(), attempt > 0 || tells_end);
                rest(&mut body).unwrap();
                assert!(body.is_end_stream());
            }
        }
    }
}

#[test]
fn an_empty_body_is_at_its_end_before_it_is_read() {
    let kept = ReplayBody::new(Script::new([]).sized().tells_end(), 0);
    assert!(kept.is_end_stream() && kept.clone().is_end_stream());
    assert_eq!(hint(&kept), (0, Some(0)));
}

#[test]
fn a_replay_whose_attempt_has_not_told_the_end_is_not_at_its_end() {
    let kept = ReplayBody::new(Script::new([data("one"), Act::Pending]), 100);
    let mut first = kept.clone();
    next(&mut first);
    let mut second = kept.clone();
    next(&mut second);
    assert!(!second.is_end_stream());
}
