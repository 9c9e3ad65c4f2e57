use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;

use super::{BoxError, Changes, Destination, Durability, Message, Store, Ticket};

/// A store, and what must be in it.
pub(super) struct Checked<'a, S> {
    name: &'a str,
    durability: Durability,
    open: &'a mut dyn FnMut() -> S,
    store: Option<S>,
    queues: HashMap<Destination, BTreeMap<Ticket, Message<Bytes>>>,
    next: u64,
    clock: Duration,
}

impl<'a, S: Store<Bytes>> Checked<'a, S> {
    pub(super) fn new(
        name: &'a str,
        durability: Durability,
        open: &'a mut dyn FnMut() -> S,
    ) -> Self {
        let store = Some(open());
        let mut checked = Self {
            name,
            durability,
            open,
            store,
            queues: HashMap::new(),
            next: 0,
            clock: Duration::ZERO,
        };
        checked.check();
        checked
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    pub(super) fn next(&mut self) -> u64 {
        ok(self.name, self.store().contents()).next
    }

    /// The messages of a destination, oldest first.
    pub(super) fn tickets(&self, destination: &Destination) -> Vec<Ticket> {
        let queue = self.queues.get(destination).into_iter().flatten();
        queue.map(|(ticket, _)| *ticket).collect()
    }

    pub(super) fn commit(
        &mut self,
        put: impl Into<Vec<Message<Bytes>>>,
        remove: impl IntoIterator<Item = (Destination, Ticket)>,
        clock: u64,
    ) {
        let changes = Changes {
            put: put.into(),
            remove: remove.into_iter().collect(),
            clock: Duration::from_nanos(clock),
        };
        for message in &changes.put {
            self.next = self.next.max(message.ticket.get() + 1);
            let queue = self.queues.entry(message.destination.clone());
            queue.or_default().insert(message.ticket, message.clone());
        }
        for (destination, ticket) in &changes.remove {
            self.forget(destination, *ticket);
        }
        self.clock = changes.clock;
        let name = self.name;
        for message in &changes.put {
            ok(name, self.store().accept(message));
        }
        ok(name, self.store().commit(changes));
        self.check();
    }

    /// Removes messages of one destination.
    pub(super) fn remove(
        &mut self,
        destination: &Destination,
        tickets: impl IntoIterator<Item = u64>,
        clock: u64,
    ) {
        let tickets: Vec<_> = tickets.into_iter().map(Ticket::new).collect();
        for ticket in &tickets {
            self.forget(destination, *ticket);
        }
        self.clock = Duration::from_nanos(clock);
        let (name, clock) = (self.name, self.clock);
        ok(name, self.store().remove(destination, &tickets, clock));
        self.check();
    }

    fn forget(&mut self, destination: &Destination, ticket: Ticket) {
        if let Some(queue) = self.queues.get_mut(destination) {
            queue.remove(&ticket);
        }
        self.queues.retain(|_, queue| !queue.is_empty());
    }

    /// Has it killed: this one is a copy of what is left then, and is looked at as if it was the store.
    pub(super) fn check_copy(&mut self, copy: S) {
        let alive = self.store.replace(copy);
        self.check();
        self.store = alive;
    }

    /// Drops the store and opens it again.
    pub(super) fn reopen(&mut self) {
        if self.durability == Durability::Durable {
            self.store = None;
            self.store = Some((self.open)());
        }
        self.check();
    }

    /// Looks at everything.
    pub(super) fn check(&mut self) {
        self.check_contents();
        let mut destinations: Vec<_> = self.queues.keys().cloned().collect();
        destinations.push(Destination::new("nobody"));
        for destination in &destinations {
            let all: Vec<_> = self.expected(destination, None, usize::MAX);
            self.check_read(destination, None, usize::MAX);
            self.check_read(destination, Some(Ticket::new(u64::MAX)), 1);
            self.check_read(destination, None, 0);
            self.check_read(destination, None, 1);
            let middle = all.get(all.len() / 2).map(|message| message.ticket);
            let last = all.last().map(|message| message.ticket);
            for ticket in [middle, last].into_iter().flatten() {
                self.check_read(destination, Some(ticket), 2);
                // Also one that is not there.
                self.check_read(destination, ticket.get().checked_sub(1).map(Ticket::new), 3);
                self.check_read(destination, Some(Ticket::new(ticket.get() + 1)), 3);
            }
        }
    }

    fn check_contents(&mut self) {
        let name = self.name;
        let mut contents = ok(name, self.store().contents());
        assert_eq!(contents.next, self.next, "{name}: `next`");
        assert_eq!(contents.clock, self.clock, "{name}: `clock`");
        contents.destinations.retain(|(_, len, _)| *len > 0);
        let found = contents.destinations.len();
        assert_eq!(found, self.queues.len(), "{name}: number of destinations");
        for (destination, len, bytes) in contents.destinations {
            let Some(queue) = self.queues.get(&destination) else {
                panic!("{name}: {destination:?} has no messages");
            };
            assert_eq!(len, queue.len(), "{name}: messages for {destination:?}");
            let sizes: usize = queue.values().map(|message| message.size).sum();
            assert_eq!(bytes, sizes, "{name}: bytes for {destination:?}");
        }
    }

    /// All of them, if it shows fewer than it may at first.
    fn check_read(&mut self, destination: &Destination, after: Option<Ticket>, most: usize) {
        let (mut after, mut most) = (after, most);
        loop {
            let shown = self.check_part(destination, after, most);
            most -= shown.len();
            match shown.last() {
                Some(last) if most > 0 => after = Some(*last),
                _ => return,
            }
        }
    }

    fn check_part(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
    ) -> Vec<Ticket> {
        let name = self.name;
        let mut shown = Vec::new();
        let read = self
            .store()
            .read(destination, after, most, &mut |ticket, message| {
                let message = ok(name, message).clone();
                assert_eq!(message.ticket, ticket, "{name}: its ticket");
                shown.push(message);
            });
        ok(name, read);
        let expected = self.expected(destination, after, most);
        let tickets = |of: &[Message<Bytes>]| of.iter().map(|it| it.ticket).collect::<Vec<_>>();
        let what = format!("{name}: {most} of {destination:?} after {after:?}");
        let found = tickets(&shown);
        let number = found.len().max(expected.len().min(1)); // at least one
        let expected: Vec<_> = expected.into_iter().take(number).collect();
        assert_eq!(found, tickets(&expected), "{what}");
        for (shown, expected) in shown.iter().zip(&expected) {
            let is_same = same(shown, expected);
            assert!(is_same, "{what}: {}, not {}", text(shown), text(expected));
        }
        found
    }

    fn expected(
        &self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
    ) -> Vec<Message<Bytes>> {
        let queue = self.queues.get(destination).into_iter().flatten();
        let queue = queue.filter(|(ticket, _)| after.is_none_or(|after| **ticket > after));
        queue.take(most).map(|(_, it)| it.clone()).collect()
    }

    fn store(&mut self) -> &mut S {
        self.store.get_or_insert_with(&mut self.open)
    }
}

fn same(one: &Message<Bytes>, other: &Message<Bytes>) -> bool {
    one.destination == other.destination
        && one.request == other.request
        && one.size == other.size
        && one.since == other.since
        && one.attempts == other.attempts
        && one.maybe_sent == other.maybe_sent
        && one.max_age == other.max_age
}

/// A large one says little more.
fn text(message: &Message<Bytes>) -> String {
    format!("{message:?}").chars().take(1_000).collect()
}

fn ok<T>(name: &str, result: Result<T, BoxError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{name}: the store failed: {error}"),
    }
}
