//! Random scripts of calls, polls, answers, failures, drops and time against the state machine.
//!
//! The callers are simulated: each has an inbox of one wake-up and perhaps a timer, and asks only
//! when one of the two says so, so that a lost wake-up shows as a caller who is never asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::{After, Answer, Failed, Id, Link, Time};
use crate::Reason;
use crate::backoff::MIN_DELAY;

const MS: Duration = Duration::from_millis(1);
const SIZE: usize = 10;

#[derive(Debug, Clone)]
enum Step {
    /// A new call. If the link is open its first attempt fails or is answered.
    Call {
        fails: Option<Kind>,
        /// How many replays are said to have broken a connection already.
        broke: u32,
    },
    /// The caller at this place (modulo their number) is polled, if it was woken.
    Poll(usize),
    /// The attempt at this place has something to say: its caller is woken.
    Stir(usize),
    /// The attempt at this place is answered; `well` if without an error.
    Answer(usize, bool),
    /// The attempt at this place fails.
    Fail(usize, Kind, bool),
    Drop(usize),
    DropOldest,
    Wake,
    Pass(u16),
    /// Everybody who was woken, or whose timer is due, is polled.
    PollAll,
}

#[derive(Debug, Clone, Copy)]
struct Kind {
    breaks: bool,
    sent: bool,
    paid: bool,
    in_order: bool,
    /// The peer wants to be left alone for so long, in ms.
    waits: u16,
}

const REFUSED: Kind = Kind {
    breaks: false,
    sent: true,
    paid: true,
    in_order: false,
    waits: 0,
};

fn kind() -> impl Strategy<Value = Kind> {
    let waits = prop_oneof![3 => Just(0), 1 => 0..2_000_u16];
    (any::<[bool; 4]>(), waits).prop_map(|([breaks, sent, paid, in_order], waits)| Kind {
        breaks: breaks && waits == 0,
        sent,
        paid,
        in_order,
        waits,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let place = 0..20usize;
    prop_oneof![
        4 => (proptest::option::of(kind()), 0..5u32).prop_map(|(fails, broke)| Step::Call { fails, broke }),
        4 => place.clone().prop_map(Step::Poll),
        2 => place.clone().prop_map(Step::Stir),
        3 => (place.clone(), any::<bool>()).prop_map(|(n, well)| Step::Answer(n, well)),
        3 => (place.clone(), kind(), any::<bool>()).prop_map(|(n, kind, stays)| Step::Fail(n, kind, stays)),
        2 => place.prop_map(Step::Drop),
        1 => Just(Step::DropOldest),
        1 => Just(Step::Wake),
        3 => (0..500u16).prop_map(Step::Pass),
        3 => Just(Step::PollAll),
    ]
}

#[derive(Debug, PartialEq)]
enum Does {
    Waits,
    /// It was let go, and has not called yet.
    Readies,
    Flies,
}

struct Caller {
    does: Does,
    /// Its last attempt.
    began: Time,
    /// It holds a place.
    placed: bool,
    probes: bool,
    immediate: bool,
    broke: u32,
    woken: bool,
    /// When its attempt stirred, if it was not polled since.
    stirred: Option<Time>,
    timer: Option<Time>,
}

struct World {
    link: Link<Id>,
    now: Time,
    next: Id,
    callers: BTreeMap<Id, Caller>,
    /// Who was let go, in order.
    gone: Vec<Id>,
    /// Changes of the phase.
    changes: BTreeSet<(String, String)>,
    /// The peer wants no probe until then.
    not_before: Time,
    /// When the last probe that failed began.
    probed: Option<Time>,
}

impl World {
    fn new() -> Self {
        Self {
            link: Link::new(Time::ZERO),
            now: Time::ZERO,
            next: 0,
            callers: BTreeMap::new(),
            gone: Vec::new(),
            changes: BTreeSet::new(),
            not_before: Time::ZERO,
            probed: None,
        }
    }

    fn change<T>(&mut self, f: impl FnOnce(&mut Link<Id>, Time, &mut Vec<Id>) -> T) -> T {
        let result = self.change_unchecked(f);
        self.check();
        result
    }

    fn change_unchecked<T>(&mut self, f: impl FnOnce(&mut Link<Id>, Time, &mut Vec<Id>) -> T) -> T {
        let mut wakes = Vec::new();
        let before = self.phase();
        let result = f(&mut self.link, self.now, &mut wakes);
        for id in wakes {
            self.callers
                .get_mut(&id)
                .expect("only those who are there are woken")
                .woken = true;
        }
        let after = self.phase();
        if self.link.is_up() {
            self.not_before = Time::ZERO;
        }
        if before != after {
            self.changes.insert((before, after));
        }
        result
    }

    fn phase(&self) -> String {
        let phase = format!("{:?}", self.link.phase);
        phase.split(' ').next().unwrap_or_default().to_owned()
    }

    fn check(&self) {
        let placed = self.callers.values().filter(|caller| caller.placed).count();
        let doomed = self.link.failed.len();
        assert_eq!(self.link.held() + doomed, placed, "places");
        assert_eq!(self.link.held_bytes(), self.link.held() * SIZE, "bytes");
        if self.link.is_open() {
            // One whose attempt was of before the recovery is back, and goes as soon as it asks.
            let mut waiting = self.link.waiting.iter().map(|(id, _)| id);
            assert!(
                waiting.all(|id| self.callers.get(&id).is_some_and(|caller| caller.woken)),
                "nobody sleeps at an open link"
            );
        }
    }

    fn call(&mut self, fails: Option<Kind>, broke: u32) {
        let id = self.next;
        self.next += 1;
        let caller = Caller {
            does: Does::Waits,
            began: self.now,
            placed: false,
            probes: false,
            immediate: false,
            broke,
            woken: true,
            stirred: None,
            timer: None,
        };
        self.callers.insert(id, caller);
        if !self.link.is_open() {
            self.join(id);
        } else {
            self.callers.get_mut(&id).expect("there").does = Does::Flies;
            if let Some(kind) = fails {
                self.fail(id, kind, true);
            }
        }
    }

    fn join(&mut self, id: Id) {
        let caller = self.callers.get_mut(&id).expect("there");
        caller.does = Does::Waits;
        if self.link.is_open() {
            caller.does = Does::Flies; // an attempt of its own
            caller.began = self.now;
            return;
        }
        caller.placed = true;
        caller.woken = true; // it asks as soon as it has joined
        let broke = caller.broke;
        self.change(|link, now, wakes| link.join(id, SIZE, broke, now, wakes));
    }

    fn poll(&mut self, id: Id) {
        let caller = self.callers.get_mut(&id).expect("there");
        let due = caller.timer.is_some_and(|at| at <= self.now);
        if !(caller.woken || due) {
            return;
        }
        caller.woken = false;
        match caller.does {
            Does::Readies => {
                caller.does = Does::Flies;
                self.change(|link, now, wakes| link.called(id, now, wakes));
            }
            Does::Flies => {
                caller.stirred = None;
                self.change(|link, now, wakes| link.polled(id, now, wakes));
            }
            Does::Waits => {
                caller.timer = None;
                let deadline = Some(Duration::from_secs(3600));
                let now = self.now;
                match self.change_unchecked(|link, _, wakes| link.ask(id, now, deadline, id, wakes))
                {
                    Answer::Go { probe } => {
                        assert!(!probe || now >= self.not_before, "left alone");
                        if probe {
                            let pause = self.probed.map(|probed| now - probed);
                            assert!(pause.is_none_or(|pause| pause >= MIN_DELAY), "too soon");
                            // A stalled one has lost it, even if it comes back.
                            let patience = self.link.patience();
                            for other in self.callers.values_mut() {
                                let stalled = |at| now >= at + patience;
                                other.probes &= !other.stirred.is_some_and(stalled);
                                assert!(!other.probes, "one probe at a time");
                            }
                        }
                        self.gone.push(id);
                        let caller = self.callers.get_mut(&id).expect("there");
                        caller.does = Does::Readies;
                        caller.began = now;
                        caller.probes = probe;
                        caller.stirred = None;
                        caller.woken = true;
                    }
                    Answer::Wait => {}
                    Answer::Watch(at) => {
                        self.callers.get_mut(&id).expect("there").timer = at;
                    }
                    Answer::Fail(reason) => {
                        assert_eq!(reason, Reason::QueueFull);
                        self.callers.remove(&id);
                    }
                }
            }
        }
        self.check();
    }

    fn answer(&mut self, id: Id, well: bool) {
        let caller = self.callers.remove(&id).expect("there");
        if caller.placed {
            self.change(|link, now, wakes| match well {
                true => link.succeeded(id, now, wakes),
                false => link.answered(id, now, wakes),
            });
        }
    }

    fn fail(&mut self, id: Id, kind: Kind, stays: bool) {
        let caller = self.callers.get_mut(&id).expect("there");
        if kind.breaks && kind.sent {
            caller.broke += 1;
        }
        let how = Failed {
            not_before: self.now + u32::from(kind.waits) * MS,
            began: caller.began,
            breaks: kind.breaks,
            blamed: kind.breaks && kind.sent,
            in_order: kind.in_order,
            immediate: std::mem::take(&mut caller.immediate),
            stays,
            paid: kind.paid,
            broke: caller.broke,
        };
        let was_placed = caller.placed;
        if std::mem::take(&mut caller.probes) {
            self.probed = Some(caller.began);
        }
        caller.does = Does::Waits;
        if !stays {
            self.callers.remove(&id);
        }
        let after = self.change_unchecked(|link, now, wakes| link.failed(id, how, now, wakes));
        if !self.link.is_up() {
            self.not_before = self.not_before.max(how.not_before);
        }
        if let After::WentDown { .. } = after {
            let from = self.now;
            self.change(|link, _, wakes| link.delay(100 * MS, from, wakes));
        }
        let Some(caller) = self.callers.get_mut(&id) else {
            return;
        };
        if after == After::Poisoned {
            self.callers.remove(&id);
        } else if after == After::StillUp {
            caller.immediate = true;
            caller.began = self.now;
            caller.does = Does::Readies;
            caller.woken = true;
        } else if was_placed {
            caller.woken = true; // it asks at once
        } else {
            self.join(id);
        }
        self.check();
    }

    fn drop_caller(&mut self, id: Id) {
        let caller = self.callers.remove(&id).expect("there");
        if caller.placed {
            self.change(|link, now, wakes| link.leave(id, now, wakes));
        }
    }

    fn at<'a>(&'a self, place: usize, f: impl Fn(&Caller) -> bool + 'a) -> Option<Id> {
        let of: Vec<_> = self
            .callers
            .iter()
            .filter(|(_, c)| f(c))
            .map(|(id, _)| *id)
            .collect();
        of.get(place % of.len().max(1)).copied()
    }

    fn poll_all(&mut self) -> bool {
        let mut any = false;
        let all: BTreeSet<_> = self.callers.keys().copied().collect();
        for id in all {
            if let Some(caller) = self.callers.get(&id) {
                let due = caller.timer.is_some_and(|at| at <= self.now);
                if caller.does != Does::Flies && (caller.woken || due) {
                    any = true;
                    self.poll(id);
                }
            }
        }
        any
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Call { fails, broke } => self.call(fails, broke),
            Step::Poll(n) => {
                if let Some(id) = self.at(n, |_| true) {
                    self.poll(id);
                }
            }
            Step::Stir(n) => {
                if let Some(id) = self.at(n, |caller| caller.does == Does::Flies) {
                    let caller = self.callers.get_mut(&id).expect("there");
                    caller.stirred.get_or_insert(self.now);
                    caller.woken = true;
                    self.change(|link, now, wakes| link.woken(id, now, wakes));
                }
            }
            Step::Answer(n, well) => {
                if let Some(id) = self.at(n, |caller| caller.does == Does::Flies) {
                    self.answer(id, well);
                }
            }
            Step::Fail(n, kind, stays) => {
                // A service that is being readied can fail too.
                if let Some(id) = self.at(n, |caller| caller.does != Does::Waits) {
                    self.fail(id, kind, stays);
                }
            }
            Step::Drop(n) => {
                if let Some(id) = self.at(n, |_| true) {
                    self.drop_caller(id);
                }
            }
            Step::DropOldest => self.change(|link, now, wakes| link.drop_oldest(now, wakes)),
            Step::Wake => {
                self.not_before = Time::ZERO;
                self.change(|link, now, wakes| link.wake(now, wakes));
            }
            Step::Pass(ms) => self.now += u32::from(ms) * MS,
            Step::PollAll => {
                self.poll_all();
            }
        }
    }

    /// The peer is back for good, and everybody is polled when woken. All must end, and in order.
    fn finish(&mut self) {
        let mut drained: Vec<Id> = Vec::new();
        for _ in 0..10_000 {
            if self.callers.is_empty() {
                break;
            }
            let before = self.gone.len();
            let polled = self.poll_all();
            drained.extend(&self.gone[before..]);
            let flying = self.at(0, |caller| caller.does == Does::Flies);
            if let Some(id) = flying {
                self.answer(id, true);
            } else if !polled {
                let timers = self.callers.values().filter_map(|caller| caller.timer);
                let next = timers.filter(|at| *at > self.now).min();
                self.now = next.expect("somebody waits, and nothing will ever wake them");
            }
        }
        assert!(self.callers.is_empty(), "everybody ends");
        assert_eq!((self.link.held(), self.link.held_bytes()), (0, 0));
        assert!(self.link.failed.is_empty());
    }
}

/// The table below the diagram holds all changes of the phase, and no other.
#[test]
fn the_diagram_is_true() {
    let rows = include_str!("diagram.md").lines().filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        Some((cells.next()?.to_owned(), cells.next()?.to_owned()))
    });
    let drawn: BTreeSet<_> = rows.skip(2).collect();
    let mut seen = BTreeSet::new();
    let mut runner = TestRunner::deterministic();
    let scripts = proptest::collection::vec(step(), 1..120);
    for _ in 0..1_000 {
        let script = scripts.new_tree(&mut runner).expect("a script").current();
        let mut world = World::new();
        script.into_iter().for_each(|step| world.step(step));
        world.finish();
        seen.append(&mut world.changes);
    }
    assert_eq!(drawn, seen);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn nobody_hangs_and_nothing_is_left(script in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::new();
        script.into_iter().for_each(|step| world.step(step));
        world.finish();
    }

    /// Where nobody stalls, leaves or breaks connections, the backlog is replayed in the order of the
    /// calls, however the failures came in.
    #[test]
    fn replayed_in_order(
        order in Just((0..30u64).collect::<Vec<_>>()).prop_shuffle(),
        failing in 1..30usize,
        later in 0..20u64,
        probes in 0..5usize,
    ) {
        let mut world = World::new();
        (0..30).for_each(|_| world.call(None, 0));
        for id in &order[..failing] {
            world.fail(*id, REFUSED, true);
            world.poll_all();
        }
        (0..later).for_each(|_| world.call(None, 0));
        for _ in 0..probes {
            world.poll_all();
            world.now += 100 * MS;
            world.poll_all();
            world.poll_all();
            let probe = world.at(0, |caller| caller.probes).expect("a probe");
            let oldest = world.callers.iter().find(|(_, caller)| caller.placed);
            prop_assert_eq!(oldest.map(|(id, _)| *id), Some(probe), "the oldest probes");
            world.fail(probe, REFUSED, true);
        }
        world.gone.clear();
        // The first attempts that did not fail are answered late; that changes nothing.
        world.finish();
        prop_assert!(world.gone.is_sorted(), "{:?}", world.gone);
        prop_assert_eq!(world.gone.len() as u64, failing as u64 + later);
    }
}
