use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, PoisonError};
use std::task::{Wake, Waker};

use tokio::sync::watch;
use tokio::time::Instant;

use super::LinksSummary;
use super::entries::{Effects, Entry, LastError, State};
use super::known::Known;
use super::state::{After, Answer, Failed, Id, Link, Time};
use crate::backoff::{Delays, ErasedBackoff, MIN_DELAY};
use crate::config::Config;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};
use crate::{ConnError, Destination, ExponentialBackoff, RequestModel, WhenFull};

/// All links of a layer: a lock around their state machines, and the wakers.
///
/// A link is in the table only while it is, or was a moment ago, in trouble. User code, wakers
/// included, never runs under the lock.
pub(crate) struct Table {
    /// Counts calls, and says whether there is [`TROUBLE`]. So the happy path takes its number and learns
    /// that all is well in one atomic step.
    gate: AtomicU64,
    pub(super) known: Known,
    epoch: Instant,
    config: Config,
    state: Mutex<State>,
    pub(super) shut: AtomicUsize,
    /// The last summary, to be read in the channel's lock: these two are not the checker's.
    down: AtomicUsize,
    waiting: AtomicUsize,
    summary: watch::Sender<LinksSummary>,
}

/// The gate's highest bit: some link is not open.
const TROUBLE: u64 = 1 << 63;

/// What the gate says to a new call.
pub(crate) struct Entered(u64);

impl Entered {
    /// The call's number, if all links are open.
    #[inline]
    pub(crate) fn unhindered(&self) -> Option<Id> {
        (self.0 & TROUBLE == 0).then_some(self.0)
    }

    /// The call's number.
    #[inline]
    pub(crate) fn id(&self) -> Id {
        self.0 & !TROUBLE
    }
}

impl Table {
    /// `first` is the number of the first call.
    pub(crate) fn new(config: Config, first: Id) -> Arc<Self> {
        Arc::new_cyclic(|table| Self {
            gate: AtomicU64::new(first & !TROUBLE),
            known: Known::new(),
            epoch: Instant::now(),
            state: Mutex::new(State {
                table: table.clone(),
                oldest: (config.when_full == WhenFull::DropOldest).then(BTreeMap::new),
                ..State::default()
            }),
            config,
            shut: AtomicUsize::new(0),
            down: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            summary: watch::Sender::new(LinksSummary::default()),
        })
    }

    #[inline]
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// A new call passes the gate.
    #[inline]
    pub(crate) fn enter(&self) -> Entered {
        Entered(self.gate.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn time(&self, at: Instant) -> Time {
        at.saturating_duration_since(self.epoch)
    }

    pub(crate) fn instant(&self, time: Time) -> Option<Instant> {
        self.epoch.checked_add(time)
    }

    pub(crate) fn is_open(&self, destination: &Destination) -> bool {
        let links = &self.lock().links;
        links
            .get(destination)
            .is_none_or(|entry| entry.link.is_open())
    }

    /// This request was answered by its first attempt. (In line whatever the compiler thinks of it, like the
    /// next one: a frame of its own would be 10 instructions of 40.)
    #[inline(always)]
    pub(crate) fn answered_at_once<Req, R: RequestModel<Req>>(&self, request: &Req) {
        if let Some(budget) = &self.config.budget {
            budget.deposit();
        }
        self.learn::<Req, R>(request);
    }

    /// The destination of this request works.
    #[inline(always)]
    pub(crate) fn learn<Req, R: RequestModel<Req>>(&self, request: &Req) {
        match R::spelling(request) {
            None => self.learn_hash(R::destination_hash(request)),
            Some(spelling) if self.known.is_first(spelling) => {}
            Some(_) => self.learn_other::<Req, R>(request),
        }
    }

    /// Reads the spelling again, which is cheaper than to have it handed over by those who don't call.
    #[inline(never)]
    fn learn_other<Req, R: RequestModel<Req>>(&self, request: &Req) {
        let hash = R::destination_hash(request);
        match R::spelling(request) {
            Some(spelling) => self.known.learn_spelled(hash, spelling),
            None => self.known.learn(hash),
        }
    }

    /// A call to the destination of this hash was answered.
    #[inline]
    pub(crate) fn learn_hash(&self, hash: u64) {
        self.known.learn(hash);
    }

    pub(crate) fn worked(&self, destination: &Destination, hash: u64) -> bool {
        let known = |entry: &Entry| entry.worked;
        self.known.contains(hash) || self.lock().links.get(destination).is_some_and(known)
    }

    pub(crate) fn last_error(&self, destination: &Destination) -> Option<LastError> {
        self.lock().links.get(destination)?.last.clone()
    }

    pub(crate) fn is_up(&self, destination: &Destination) -> bool {
        let links = &self.lock().links;
        links
            .get(destination)
            .is_none_or(|entry| entry.link.is_up())
    }

    /// What holds the link down now.
    pub(crate) fn set_last_error(&self, destination: &Destination, last: LastError) {
        let former = match self.lock().links.get_mut(destination) {
            Some(entry) => entry.last.replace(last),
            None => None,
        };
        drop(former); // perhaps the user's, so not under the lock
    }

    /// An attempt failed with a connection error. See [`Link::failed`].
    pub(crate) fn failed(
        &self,
        destination: &Destination,
        hash: u64,
        id: Id,
        how: Failed,
        error: ConnError,
    ) -> After {
        let (after, at, was_up, delays) = self.run(|state, now, effects| {
            effects.in_task = true;
            state.sweep(now, effects);
            state
                .links
                .entry(destination.clone())
                .or_insert_with(|| Entry {
                    link: Link::new(now),
                    watchdog: None,
                    delays: None,
                    last: None,
                    worked: self.known.contains(hash),
                });
            let changed = state.link(destination, effects, |entry, wakes| {
                let was_up = entry.link.is_up();
                let after = entry.link.failed(id, how, now, wakes);
                let delays = match after {
                    After::WentDown { .. } => entry.delays.take(),
                    _ => None,
                };
                (after, now, was_up, delays)
            });
            changed.unwrap_or((After::Late, now, false, None))
        });
        if let After::WentDown { fresh } = after {
            let delays = delays.filter(|_| !fresh);
            let mut delays = delays.unwrap_or_else(|| self.config.start_backoff());
            let delay = delays.draw();
            self.run(|state, _, effects| {
                effects.in_task = true;
                let superfluous = state.link(destination, effects, |entry, wakes| {
                    match entry.link.delay(delay, at, wakes) {
                        true => entry.delays.replace(delays),
                        false => Some(delays),
                    }
                });
                effects.trash.extend(superfluous.flatten());
            });
        }
        if let (true, After::WentDown { .. } | After::Gathers) = (was_up, after) {
            // Last, so that it may wake the link.
            if let Some(observer) = &self.config.observer {
                observer.link_down(destination, error);
            }
        }
        after
    }

    /// An attempt with a place was answered; `well` if without any error.
    pub(super) fn answered(&self, destination: &Destination, id: Id, well: bool) {
        let recovered = self.run(|state, now, effects| {
            effects.in_task = true;
            state.link(destination, effects, |entry, wakes| {
                let link = &mut entry.link;
                let down_since = (!link.is_up()).then(|| link.since());
                if well {
                    entry.worked = true;
                    link.succeeded(id, now, wakes);
                } else {
                    link.answered(id, now, wakes);
                }
                down_since.filter(|_| link.is_up()).map(|since| now - since)
            })
        });
        if let (Some(Some(outage)), Some(observer)) = (recovered, &self.config.observer) {
            observer.link_up(destination, outage);
        }
    }

    pub(super) fn ask(
        &self,
        destination: &Destination,
        id: Id,
        ends: Option<Time>,
        waker: Waker,
    ) -> Answer {
        let answer = self.run(|state, now, effects| {
            effects.in_task = true;
            state.link(destination, effects, |entry, wakes| {
                entry.link.ask(id, now, ends, waker, wakes)
            })
        });
        if let (Some(Answer::Go { probe: true }), Some(observer)) = (answer, &self.config.observer)
        {
            observer.probe(destination);
        }
        // The link of a place is never forgotten.
        answer.unwrap_or(Answer::Go { probe: false })
    }

    pub(super) fn called(&self, destination: &Destination, id: Id) {
        self.run(|state, now, effects| {
            effects.in_task = true;
            state.link(destination, effects, |entry, wakes| {
                entry.link.called(id, now, wakes)
            });
        });
    }

    pub(super) fn leave(&self, destination: &Destination, id: Id) {
        self.run(|state, now, effects| {
            effects.passes = true;
            state.link(destination, effects, |entry, wakes| {
                entry.link.leave(id, now, wakes)
            });
        });
    }

    /// The two in line may be stalled.
    pub(super) fn pass_on(&self, destination: &Destination) {
        self.run(|state, now, effects| {
            state.link(destination, effects, |entry, wakes| {
                entry.link.pass_on(now, wakes)
            });
            while state.lapse(now, effects) {}
            state.admit_wanted(destination, now, effects);
            // Whoever of them is not stalled looks again, and then it is watched again.
            state.wake_room(effects);
        });
    }

    pub(super) fn wake(&self) {
        let all: Vec<_> = self.lock().links.keys().cloned().collect();
        // One at a time: each may have to set its own watchdog.
        for destination in all {
            self.run(|state, now, effects| {
                let former = state.link(&destination, effects, |entry, wakes| {
                    let down = entry.link.wake(now, wakes);
                    if down { entry.delays.take() } else { None }
                });
                effects.trash.extend(former.flatten());
            });
        }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<LinksSummary> {
        self.summary.subscribe()
    }

    /// Reads the state of all links that are not forgotten.
    pub(super) fn read<R>(&self, f: impl FnOnce(&State, Time) -> R) -> R {
        self.run(|state, now, effects| {
            state.sweep(now, effects);
            f(state, now)
        })
    }

    pub(super) fn set_gate(&self, state: &State) {
        match state.shut + state.boxes {
            0 => self.gate.fetch_and(!TROUBLE, Ordering::Relaxed),
            _ => self.gate.fetch_or(TROUBLE, Ordering::Relaxed),
        };
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then does what follows from it without the lock.
    pub(super) fn run<R>(&self, f: impl FnOnce(&mut State, Time, &mut Effects) -> R) -> R {
        let now = self.time(Instant::now());
        let mut effects = Effects::default();
        let (result, news) = {
            let mut state = self.lock();
            let result = f(&mut state, now, &mut effects);
            state.call_next(now, &self.config.limits, &mut effects);
            self.shut.store(state.shut, Ordering::Relaxed);
            self.set_gate(&state);
            let summary = (state.down, state.held + state.room.len());
            let former = (
                self.down.swap(summary.0, Ordering::Relaxed),
                self.waiting.swap(summary.1, Ordering::Relaxed),
            );
            (result, former != summary)
        };
        for waker in effects.wakes {
            // Its panic is its own task's trouble, not that of those behind it, nor of whoever wakes it.
            let _ = catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        for (watchdog, at, slack) in effects.watches.into_iter().chain(effects.watch) {
            // One that is late already is not late for the first time.
            let at = at.max(now.saturating_add(MIN_DELAY));
            if let Some(at) = self.instant(at) {
                let set = watchdog.watch(at, slack, effects.in_task);
                if !set && effects.passes {
                    watchdog.wake();
                }
            }
        }
        if let Some(observer) = &self.config.observer {
            let forgotten = effects.forgotten.iter();
            forgotten.for_each(|destination| observer.link_forgotten(destination));
        }
        // Without news the channel is not touched: who only looks may be holding it.
        if news {
            self.summary.send_if_modified(|summary| {
                // Read in here, so that the last to come publishes the last state.
                let down = self.down.load(Ordering::Relaxed);
                let waiting = self.waiting.load(Ordering::Relaxed);
                summary.update(down, waiting)
            });
        }
        result
    }
}

impl Config {
    fn start_backoff(&self) -> Delays {
        match &self.backoff {
            Some(backoff) => backoff.start(),
            None => ErasedBackoff::start(&ExponentialBackoff::new()),
        }
    }
}
