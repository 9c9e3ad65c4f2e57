//! Which messages are the oldest, for an outbox that drops those.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use super::Ticket;
use super::by_destination::ByDestination;
use crate::{Destination, Limits};

/// Of each line the first messages that are in the store, as far as somebody has looked. So the oldest of
/// all is found without a look at all lines.
#[derive(Debug, Default)]
pub(super) struct Oldest {
    known: BTreeMap<Ticket, Destination>,
    lines: HashMap<Destination, Seen, ByDestination>,
    /// Nobody has looked at these.
    unseen: Vec<Destination>,
    /// Messages that are counted, and that the store does not have yet.
    storing: Amount,
    /// Those of them that it has got, and for which room is being made.
    landing: Amount,
}

#[derive(Debug, Clone, Copy, Default)]
struct Amount {
    len: usize,
    bytes: usize,
}

impl Amount {
    fn add(&mut self, size: usize) {
        self.len += 1;
        self.bytes = self.bytes.saturating_add(size);
    }

    fn subtract(&mut self, other: Self) {
        self.len = self.len.saturating_sub(other.len);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// What is known of a line.
#[derive(Debug, Default)]
struct Seen {
    /// No other message is there before the last one of them.
    known: BTreeSet<Ticket>,
    /// Nor behind it.
    all: bool,
}

impl Oldest {
    /// These lines are there from before.
    pub(super) fn new(unseen: Vec<Destination>) -> Self {
        let lines = unseen.iter().map(|line| (line.clone(), Seen::default()));
        Self {
            lines: lines.collect(),
            unseen,
            ..Self::default()
        }
    }

    /// A message is counted.
    pub(super) fn counted(&mut self, size: usize) {
        self.storing.add(size);
    }

    /// The store has refused it.
    pub(super) fn not_stored(&mut self, size: usize) {
        self.storing.subtract(Amount {
            len: 1,
            bytes: size,
        });
    }

    /// There is room for those that were stored.
    pub(super) fn landed(&mut self) {
        let landed = std::mem::take(&mut self.landing);
        self.storing.subtract(landed);
    }

    /// What is on its way to the store has limits of its own, as large as those of the outbox.
    pub(super) fn can_store(&self, limits: &Limits, size: usize) -> bool {
        limits.have_room(self.storing.len, self.storing.bytes, size)
    }

    /// How many of so many messages are in the store, and how large they are.
    pub(super) fn stored_of(&self, len: usize, bytes: usize) -> (usize, usize) {
        let mut stored = Amount { len, bytes };
        let mut storing = self.storing;
        storing.subtract(self.landing);
        stored.subtract(storing);
        (stored.len, stored.bytes)
    }

    /// A message is in the store. Until there is room for it, it is as one that is not.
    pub(super) fn stored(&mut self, destination: &Destination, ticket: Ticket, size: usize) {
        self.landing.add(size);
        let new = || Seen {
            all: true,
            ..Seen::default()
        };
        let line = self.lines.entry(destination.clone());
        let seen = line.or_insert_with(new);
        let last = seen.known.last();
        if seen.all || last.is_some_and(|last| ticket < *last) {
            // What comes behind the last one is not known.
            seen.all &= last.is_some_and(|last| ticket < *last);
            seen.known.insert(ticket);
            self.known.insert(ticket, destination.clone());
        }
    }

    /// The lines that nobody has looked at.
    pub(super) fn take_unseen(&mut self) -> Vec<Destination> {
        std::mem::take(&mut self.unseen)
    }

    /// They could not be read. They are looked at again.
    pub(super) fn put_back(&mut self, unseen: Vec<Destination>) {
        self.unseen.extend(unseen);
    }

    /// The next known message after this one.
    pub(super) fn next(&self, after: Option<Ticket>) -> Option<(Ticket, Destination)> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (ticket, destination) = self.known.range((after, Bound::Unbounded)).next()?;
        Some((*ticket, destination.clone()))
    }

    /// Whether it is not known what comes behind this message.
    pub(super) fn is_last(&self, destination: &Destination, ticket: Ticket) -> bool {
        let seen = self.lines.get(destination);
        seen.is_some_and(|seen| !seen.all && seen.known.last() == Some(&ticket))
    }

    /// What comes behind the last known message of a line.
    pub(super) fn found(&mut self, destination: &Destination, next: Option<Ticket>) {
        let Some(seen) = self.lines.get_mut(destination) else {
            return;
        };
        match next {
            Some(ticket) => {
                seen.known.insert(ticket);
                self.known.insert(ticket, destination.clone());
            }
            None => seen.all = true,
        }
    }

    /// A message is gone. It is known what comes behind it.
    pub(super) fn remove(&mut self, ticket: Ticket) {
        if let Some(destination) = self.known.remove(&ticket) {
            if let Some(seen) = self.lines.get_mut(&destination) {
                seen.known.remove(&ticket);
            }
        }
    }

    /// A line is empty, and ends.
    pub(super) fn forget(&mut self, destination: &Destination) {
        for ticket in self.lines.remove(destination).unwrap_or_default().known {
            self.known.remove(&ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(oldest: &Oldest) -> Vec<u64> {
        oldest.known.keys().map(|ticket| ticket.get()).collect()
    }

    #[test]
    fn little_is_known_of_a_long_line() {
        let mut oldest = Oldest::default();
        let line = Destination::new("a");
        for ticket in [5, 6, 7, 3, 8] {
            oldest.stored(&line, Ticket::new(ticket), 1);
        }
        assert_eq!(known(&oldest), [3, 5]);
        assert!(oldest.is_last(&line, Ticket::new(5)));
        oldest.found(&line, Some(Ticket::new(6)));
        oldest.remove(Ticket::new(5));
        assert_eq!(known(&oldest), [3, 6]);
        oldest.forget(&line);
        assert_eq!(known(&oldest), [0; 0]);
        assert!(oldest.lines.is_empty());
    }

    #[test]
    fn one_that_comes_when_all_are_known_is_known() {
        let mut oldest = Oldest::default();
        let line = Destination::new("a");
        oldest.stored(&line, Ticket::new(1), 1);
        oldest.found(&line, None);
        oldest.remove(Ticket::new(1));
        oldest.stored(&line, Ticket::new(2), 1);
        oldest.stored(&line, Ticket::new(3), 1);
        assert_eq!(known(&oldest), [2]);
    }

    #[test]
    fn what_is_there_from_before_comes_before_what_is_new() {
        let line = Destination::new("a");
        let mut oldest = Oldest::new(vec![line.clone()]);
        oldest.stored(&line, Ticket::new(9), 1);
        assert_eq!(known(&oldest), [0; 0]);
        assert_eq!(oldest.take_unseen(), std::slice::from_ref(&line));
        oldest.found(&line, Some(Ticket::new(2)));
        assert_eq!(known(&oldest), [2]);
        assert!(oldest.is_last(&line, Ticket::new(2)));
    }
}
