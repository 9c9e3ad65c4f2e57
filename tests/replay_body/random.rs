//! Any chunking, any cap, any points of failure: every attempt that ends well has read the same.

use bytes::Bytes;
use http_body::Body;
use proptest::prelude::*;
use tower_conn_retry::{ReplayBody, ReplayBodyError};

use super::script::{Act, Message, Script, poll};

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..6).prop_map(|data| Act::Data(Bytes::from(data))),
        2 => Just(Act::Pending),
    ]
}

fn trailers() -> impl Strategy<Value = Option<Act>> {
    prop::option::of("[a-z]{0,5}".prop_map(|value| super::script::trailers(&value)))
}

/// What is done with the bodies.
#[derive(Debug, Clone)]
enum Step {
    /// Polls one of those that are alive.
    Poll(usize),
    /// Drops one.
    Drop(usize),
    /// One more attempt begins, beside those that are alive.
    Begin,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => any::<usize>().prop_map(Step::Poll),
        1 => any::<usize>().prop_map(Step::Drop),
        3 => Just(Step::Begin),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_whole_attempt_reads_the_same(
        acts in prop::collection::vec(act(), 0..12),
        trailers in trailers(),
        (sized, tells_end) in any::<(bool, bool)>(),
        cap in 0_usize..50,
        fails_at in prop::option::of(0_usize..12),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut acts = acts;
        acts.extend(trailers);
        let expected = Message::of(&acts);
        let mut script = Script::new(acts.clone());
        if sized { script = script.sized(); }
        if let Some(at) = fails_at.filter(|at| *at < acts.len()) {
            acts[at] = Act::Fails;
            script = Script::new(acts);
        }
        if tells_end { script = script.tells_end(); }
        let size = expected.data.len() + expected.trailers.iter().flatten()
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum::<usize>();

        let kept = ReplayBody::new(script, cap);
        let wakes = Default::default();
        let mut alive = vec![(kept.clone(), Message::default())];
        let mut failed = false;
        for step in steps {
            match step {
                Step::Begin => {
                    let can = kept.can_replay();
                    let mut body = kept.clone();
                    let first = poll(&mut body, &wakes);
                    let refused = matches!(&first, std::task::Poll::Ready(Some(Err(error)))
                        if error.downcast_ref() == Some(&ReplayBodyError::NotReplayable));
                    // What it says is what happens.
                    prop_assert_eq!(can, !refused);
                    if let std::task::Poll::Ready(Some(Ok(frame))) = first {
                        let mut message = Message::default();
                        message.add(frame);
                        alive.push((body, message));
                    }
                }
                Step::Drop(of) if !alive.is_empty() => {
                    let of = of % alive.len();
                    alive.swap_remove(of);
                }
                Step::Poll(of) if !alive.is_empty() => {
                    let of = of % alive.len();
                    let (body, message) = &mut alive[of];
                    let hint = body.size_hint();
                    let left = (expected.data.len() - message.data.len()) as u64;
                    match poll(body, &wakes) {
                        std::task::Poll::Pending => {}
                        std::task::Poll::Ready(Some(Ok(frame))) => {
                            message.add(frame);
                            prop_assert!(expected.data.starts_with(&message.data));
                            if fails_at.is_none() {
                                prop_assert!(hint.lower() <= left);
                                prop_assert!(hint.upper().is_none_or(|upper| left <= upper));
                            }
                            if body.is_end_stream() {
                                prop_assert_eq!(&*message, &expected);
                            }
                        }
                        std::task::Poll::Ready(None) => {
                            prop_assert_eq!(&*message, &expected);
                            prop_assert!(!failed);
                            alive.swap_remove(of);
                        }
                        std::task::Poll::Ready(Some(Err(error))) => {
                            if error.downcast_ref::<ReplayBodyError>().is_none() {
                                prop_assert!(fails_at.is_some() && !failed);
                                failed = true;
                            }
                            alive.swap_remove(of);
                        }
                    }
                }
                Step::Drop(_) | Step::Poll(_) => {}
            }
            if fails_at.is_none() {
                prop_assert!(size > cap || kept.can_replay());
            }
        }
        // Whatever came before: the next attempt is whole, or it fails.
        let mut last = kept.clone();
        let can = kept.can_replay();
        match super::script::rest(&mut last) {
            Ok(message) => prop_assert_eq!(message, expected),
            Err(_) => prop_assert!(!can || fails_at.is_some()),
        }
    }
}
