//! Tickets of calls that are answered at once are in no store. So that none is given again after a
//! restart, the store knows a number that is above them all.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many tickets are reserved at once. More are when half of them are given.
const BLOCK: u64 = 1 << 24;

/// From which ticket on more are to be reserved.
pub(super) struct Reserved(AtomicU64);

impl Reserved {
    /// What is to be reserved when this ticket is the first.
    pub(super) fn from(first: u64) -> (Self, u64) {
        let reserved = Self(AtomicU64::new(0));
        let next = reserved.ask(0, first).unwrap_or(first);
        (reserved, next)
    }

    /// What is to be reserved now that this ticket is given, if it is time.
    #[inline]
    pub(super) fn given(&self, ticket: u64) -> Option<u64> {
        let from = self.0.load(Ordering::Relaxed);
        if ticket < from {
            return None;
        }
        self.ask(from, ticket)
    }

    /// Only one of those who come at once.
    #[cold]
    fn ask(&self, from: u64, ticket: u64) -> Option<u64> {
        let half = ticket.saturating_add(BLOCK / 2);
        let asked = self
            .0
            .compare_exchange(from, half, Ordering::Relaxed, Ordering::Relaxed);
        asked.ok().map(|_| ticket.saturating_add(BLOCK))
    }

    /// They could not be reserved: the next one asks again.
    pub(super) fn failed(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_are_reserved_when_half_are_given() {
        let (reserved, next) = Reserved::from(7);
        assert_eq!(next, 7 + BLOCK);
        assert_eq!(reserved.given(7), None);
        assert_eq!(reserved.given(6 + BLOCK / 2), None);
        let half = 9 + BLOCK / 2;
        assert_eq!(reserved.given(half), Some(half + BLOCK));
        assert_eq!(reserved.given(half - 1), None, "somebody has asked");
        assert_eq!(reserved.given(half + 1), None);
    }

    #[test]
    fn who_comes_after_a_failure_asks_again() {
        let (reserved, _) = Reserved::from(0);
        reserved.failed();
        assert_eq!(reserved.given(5), Some(5 + BLOCK));
        assert_eq!(reserved.given(6), None);
    }

    #[test]
    fn there_is_an_end_of_numbers() {
        let (reserved, next) = Reserved::from(u64::MAX);
        assert_eq!(next, u64::MAX);
        assert_eq!(reserved.given(u64::MAX), Some(u64::MAX));
    }
}
