//! The comparison of what the client was told with what the server has read and done.

use std::collections::{HashMap, HashSet};

use hyper::Method;
use tower_conn_retry::{ConnErrorKind, Reason, Sent};

use super::caller::{Failure, Outcome};
use super::calls::{Call, Key};
use super::ledger::{Account, Ledger};
use super::load::{RESTARTS, Run};

/// What is promised to the callers, besides the truth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Promise {
    /// Whatever may be sent twice is answered, and so is what was not sent.
    Answers,
    /// The layer has not room for all, and fails some.
    Truth,
}

/// How many of a kind.
#[derive(Default)]
struct Tally {
    /// Read more than once.
    repeated: usize,
    perhaps_sent: usize,
    not_sent: usize,
}

pub(crate) fn check(name: &str, promise: Promise, run: &Run, ledger: &Ledger) {
    let account = &*ledger.account();
    let mut tallies: HashMap<&str, Tally> = HashMap::new();
    let mut keys = HashSet::new();
    for (call, outcome) in &run.calls {
        let at = format!("{name}: {} {}", call.kind.method, call.id);
        let tally = tallies.entry(call.kind.name).or_default();
        let keyed = reads(call, account);
        let front = account.front.get(&call.id).copied().unwrap_or(0);
        let reads = keyed.len().max(front);
        tally.repeated += usize::from(reads > 1);
        assert!(
            reads <= 1 || call.kind.may_repeat(),
            "{at} was read {reads} times"
        );
        match outcome {
            Outcome::Answered(_) => {}
            Outcome::Failed(failure) => {
                check_failure(&at, promise, call, failure, reads);
                match failure.sent {
                    Sent::No => tally.not_sent += 1,
                    Sent::Maybe => tally.perhaps_sent += 1,
                }
            }
        }
        check_keys(&at, call, keyed);
        if let Some(Some(key)) = keyed.first() {
            assert!(keys.insert(key), "{at}: its key {key} is another one's");
        }
        check_effects(&at, call, outcome, account);
    }
    let known: HashSet<_> = run.calls.iter().map(|(call, _)| &call.id).collect();
    let strangers = account.reads.keys().find(|id| !known.contains(id));
    assert_eq!(strangers, None, "{name}");
    report(name, run, account, &tallies);
    check_proof(name, promise, run, account, &tallies);
}

fn reads<'a>(call: &Call, account: &'a Account) -> &'a [Option<String>] {
    account.reads.get(&call.id).map_or(&[], Vec::as_slice)
}

/// What a failure says is true, and there was a reason for it.
fn check_failure(at: &str, promise: Promise, call: &Call, failure: &Failure, reads: usize) {
    assert!(
        failure.sent == Sent::Maybe || reads == 0,
        "{at} was read, and the error says it was not sent: {failure:?}"
    );
    match failure.reason {
        Reason::NotIdempotent => {
            assert!(!call.kind.may_repeat(), "{at}: {failure:?}");
            // What was not sent is replayed, and so is what only a refused connection speaks against.
            assert_eq!(failure.sent, Sent::Maybe, "{at}: {failure:?}");
            assert_ne!(
                failure.kind,
                Some(ConnErrorKind::Refused),
                "{at}: {failure:?}"
            );
        }
        Reason::QueueFull => assert_eq!(promise, Promise::Truth, "{at}: {failure:?}"),
        _ => panic!("{at}: {failure:?}"),
    }
}

/// All replays have the first attempt's key.
fn check_keys(at: &str, call: &Call, reads: &[Option<String>]) {
    for key in reads {
        assert_eq!(key.is_some(), call.kind.has_key(), "{at}: {reads:?}");
        assert_eq!(*key, reads[0], "{at}: the keys of its attempts differ");
        if call.kind.key == Key::Caller {
            assert_eq!(*key, call.key, "{at}");
        }
    }
}

/// What was answered was done, whole; with a key exactly once, and the answer is the one to it.
fn check_effects(at: &str, call: &Call, outcome: &Outcome, account: &Account) {
    let effects = account.effects.get(&call.id).map_or(&[][..], Vec::as_slice);
    for body in effects {
        assert_eq!(*body, call.body, "{at}");
    }
    if call.kind.has_key() {
        assert!(effects.len() <= 1, "{at}: {} effects", effects.len());
    }
    let Outcome::Answered(text) = outcome else {
        return;
    };
    assert!(!effects.is_empty(), "{at} was answered, but not done");
    let Some(text) = text else { return };
    let text = std::str::from_utf8(text).unwrap();
    if call.kind.method == Method::HEAD {
        assert_eq!(text, "", "{at}");
        return;
    }
    if call.kind.has_key() {
        let key = reads(call, account)[0].as_ref().unwrap();
        assert_eq!(text, account.answers[key], "{at}");
    }
    let own = text.split(' ').next() == Some(&call.id);
    assert!(own, "{at} was answered with {text:?}");
}

/// The load has met what it is about: otherwise all this proves nothing.
fn check_proof(
    name: &str,
    promise: Promise,
    run: &Run,
    account: &Account,
    tallies: &HashMap<&str, Tally>,
) {
    let kinds: HashSet<_> = run.calls.iter().map(|(call, _)| call.kind.name).collect();
    let cut: HashSet<_> = run.cut.iter().map(|kind| kind.name).collect();
    if promise == Promise::Truth {
        let sum = |count: fn(&Tally) -> usize| tallies.values().map(count).sum::<usize>();
        assert!(sum(|tally| tally.not_sent) > 0, "{name}: all was sent");
        assert!(sum(|tally| tally.perhaps_sent) > 0, "{name}: nothing was");
        return;
    }
    assert!(account.repeats > 0, "{name}: the server saw no repeat");
    assert!(run.cut.len() >= RESTARTS / 2, "{name}: {:?}", run.cut);
    assert!(cut.len() + 1 >= kinds.len(), "{name}: only {cut:?}");
    for kind in &run.cut {
        let tally = &tallies[kind.name];
        let met = if kind.may_repeat() {
            tally.repeated
        } else {
            tally.perhaps_sent
        };
        assert!(met > 0, "{name}: the restarts met no {}", kind.name);
    }
}

fn report(name: &str, run: &Run, account: &Account, tallies: &HashMap<&str, Tally>) {
    let mut kinds: Vec<_> = tallies.iter().collect();
    kinds.sort_by_key(|(kind, _)| **kind);
    let kinds: Vec<_> = kinds
        .into_iter()
        .map(|(kind, tally)| {
            format!(
                "{kind} {}/{}/{}",
                tally.repeated, tally.perhaps_sent, tally.not_sent
            )
        })
        .collect();
    eprintln!(
        "{name}: {} calls, {RESTARTS} restarts, {} of them met calls that were done and not answered; \
         repeats of a key: {}; read more than once/failed, perhaps sent/failed, not sent: {}",
        run.calls.len(),
        run.cut.len(),
        account.repeats,
        kinds.join(", "),
    );
}
