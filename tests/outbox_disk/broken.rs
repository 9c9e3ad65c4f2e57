//! The conformance tests find what is wrong with a store.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tower_conn_retry::outbox::{
    Changes, Contents, Durability, Message, Store, Ticket, test_store, test_store_killed,
};
use tower_conn_retry::{BoxError, Destination};

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bug {
    Nothing,
    AcceptsNothing,
    WritesWhenDropped,
    ForgetsRemovals,
    CountsBytes,
    LosesLarge,
    LosesLongNames,
    LosesMany,
    TicketsAreSigned,
    WrongOrder,
    ShowsTwice,
    ShowsNothingAtFirst,
    OverflowsAtTheEnd,
    RemovesElsewhere,
    NextIsOfTheRest,
}

use Bug::*;

/// What it has on disk, so to speak.
#[derive(Debug, Clone, Default)]
struct Rows {
    messages: BTreeMap<(String, u64), Message<Bytes>>,
    next: u64,
    clock: Duration,
}

type Disk = Arc<Mutex<HashMap<String, Rows>>>;

struct Broken {
    bug: Bug,
    name: String,
    disk: Disk,
    rows: Rows,
    reads: u32,
}

impl Broken {
    fn open(bug: Bug, name: &str, disk: &Disk) -> Self {
        let rows = disk.lock().unwrap().get(name).cloned();
        Self {
            bug,
            name: name.to_owned(),
            disk: disk.clone(),
            rows: rows.unwrap_or_default(),
            reads: 0,
        }
    }

    fn write(&self) {
        let mut disk = self.disk.lock().unwrap();
        disk.insert(self.name.clone(), self.rows.clone());
    }

    fn loses(&self, message: &Message<Bytes>) -> bool {
        match self.bug {
            LosesLarge => message.request.len() > 10_000_000,
            LosesLongNames => key(&message.destination).len() > 1_000,
            LosesMany => self.rows.messages.len() >= 1_000,
            _ => false,
        }
    }
}

impl Drop for Broken {
    fn drop(&mut self) {
        self.write();
    }
}

fn key(destination: &Destination) -> String {
    format!("{destination:?}")
}

impl Store<Bytes> for Broken {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        let mut destinations: HashMap<Destination, (usize, usize)> = HashMap::new();
        for message in self.rows.messages.values() {
            let of = destinations.entry(message.destination.clone()).or_default();
            of.0 += 1;
            of.1 += match self.bug {
                CountsBytes => message.request.len(),
                _ => message.size,
            };
        }
        let rest = self.rows.messages.keys().map(|(_, ticket)| ticket + 1);
        Ok(Contents {
            next: match self.bug {
                NextIsOfTheRest => rest.max().unwrap_or(0),
                _ => self.rows.next,
            },
            clock: self.rows.clock,
            destinations: destinations
                .into_iter()
                .map(|(destination, (len, bytes))| (destination, len, bytes))
                .collect(),
        })
    }

    fn accept(&self, _: &Message<Bytes>) -> Result<(), BoxError> {
        match self.bug {
            AcceptsNothing => Err("not this one".into()),
            _ => Ok(()),
        }
    }

    fn commit(&mut self, changes: Changes<Bytes>) -> Result<(), BoxError> {
        for message in changes.put {
            let ticket = message.ticket.get();
            if self.bug == TicketsAreSigned {
                i64::try_from(ticket)?;
            }
            self.rows.next = self.rows.next.max(ticket + 1);
            if !self.loses(&message) {
                let at = (key(&message.destination), ticket);
                self.rows.messages.insert(at, message);
            }
        }
        for (destination, ticket) in changes.remove {
            match self.bug {
                ForgetsRemovals => {}
                RemovesElsewhere => self.rows.messages.retain(|at, _| at.1 != ticket.get()),
                _ => {
                    let at = (key(&destination), ticket.get());
                    self.rows.messages.remove(&at);
                }
            }
        }
        self.rows.clock = changes.clock;
        if self.bug != WritesWhenDropped {
            self.write();
        }
        Ok(())
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Message<Bytes>, BoxError>),
    ) -> Result<(), BoxError> {
        self.reads += 1;
        if self.bug == ShowsNothingAtFirst && self.reads == 1 {
            return Ok(());
        }
        let after = after.map(Ticket::get);
        if self.bug == OverflowsAtTheEnd {
            assert_ne!(after, Some(u64::MAX), "overflow");
        }
        let all = self.rows.messages.range((key(destination), 0)..);
        let all = all.filter(|((_, ticket), _)| after.is_none_or(|after| *ticket > after));
        let all = all.take_while(|((name, _), _)| *name == key(destination));
        let mut shown: Vec<_> = all.map(|(_, message)| message).take(most).collect();
        match self.bug {
            WrongOrder => shown.reverse(),
            ShowsTwice => shown.extend(shown.first().copied()),
            // Fewer than it may is no bug.
            Nothing => shown.truncate(7),
            _ => {}
        }
        for message in shown {
            show(message.ticket, Ok(message));
        }
        Ok(())
    }
}

/// Whether the tests pass: those of a store that is dropped, and of one that is killed.
fn passes(bug: Bug) -> (bool, bool) {
    let disk = Disk::default();
    let open = |name: &str| Broken::open(bug, name, &disk);
    let copy = |from: &str, to: &str| {
        let mut disk = disk.lock().unwrap();
        let rows = disk.get(from).cloned().unwrap_or_default();
        disk.insert(to.to_owned(), rows);
    };
    let dropped = || test_store(Durability::Durable, open);
    let killed = || test_store_killed(open, copy);
    (
        catch_unwind(AssertUnwindSafe(dropped)).is_ok(),
        catch_unwind(AssertUnwindSafe(killed)).is_ok(),
    )
}

#[test]
fn a_store_without_faults_passes_though_it_shows_few_at_once() {
    assert_eq!(passes(Nothing), (true, true));
}

#[test]
fn a_store_that_writes_only_when_it_is_dropped_is_found() {
    assert_eq!(passes(WritesWhenDropped), (true, false));
}

#[test]
fn each_fault_is_found() {
    let bugs = [
        AcceptsNothing,
        ForgetsRemovals,
        CountsBytes,
        LosesLarge,
        LosesLongNames,
        LosesMany,
        TicketsAreSigned,
        WrongOrder,
        ShowsTwice,
        ShowsNothingAtFirst,
        OverflowsAtTheEnd,
        RemovesElsewhere,
        NextIsOfTheRest,
    ];
    for bug in bugs {
        assert!(!passes(bug).0, "{bug:?}");
    }
}
