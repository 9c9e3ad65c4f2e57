use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Ticket;

/// Messages that a worker delivers one after the other: it goes from one to the next without the
/// book's lock, until somebody who has news for it stops it there.
#[derive(Default)]
pub(super) struct Run {
    at: Arc<At>,
    /// With their sizes, in their order. The first of them may have been answered.
    messages: VecDeque<(Ticket, usize)>,
}

/// The message whose delivery begins, and in the lowest bit whether the worker may go on by itself.
#[derive(Default)]
pub(super) struct At(AtomicU64);

const GOES_ON: u64 = 1;

impl At {
    fn place(ticket: Ticket) -> u64 {
        ticket.get() << 1
    }

    /// This one was answered, and the next one begins. Not if the run was stopped.
    pub(super) fn go_on(&self, answered: Ticket, next: Ticket) -> bool {
        let (from, to) = (Self::place(answered) | GOES_ON, Self::place(next) | GOES_ON);
        let gone_on = self
            .0
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed);
        gone_on.is_ok()
    }

    fn get(&self) -> Ticket {
        Ticket::new(self.0.load(Ordering::Acquire) >> 1)
    }
}

impl Run {
    pub(super) fn at(&self) -> Arc<At> {
        self.at.clone()
    }

    /// The delivery of the first of them begins. Whether it `goes_on` with the others.
    pub(super) fn begin(&mut self, messages: impl Iterator<Item = (Ticket, usize)>, goes_on: bool) {
        self.messages.clear();
        self.messages
            .extend(messages.take(if goes_on { usize::MAX } else { 1 }));
        if let Some((first, _)) = self.messages.front() {
            let at = At::place(*first) | if goes_on { GOES_ON } else { 0 };
            self.at.0.store(at, Ordering::Release);
        }
    }

    /// Whoever works on it has a look into the book before it goes on.
    pub(super) fn stop(&self) {
        self.at.0.fetch_and(!GOES_ON, Ordering::AcqRel);
    }

    /// Its delivery has begun, and may be over.
    pub(super) fn has_begun(&self, ticket: Ticket) -> bool {
        let found = self.messages.binary_search_by_key(&ticket, |(it, _)| *it);
        found.is_ok() && ticket <= self.at.get()
    }

    /// Takes out the first one that was answered: one of those before the present one, or up to `last`.
    pub(super) fn next_answered(&mut self, last: Option<Ticket>) -> Option<(Ticket, usize)> {
        let (first, _) = self.messages.front()?;
        let answered = last.map_or_else(|| *first < self.at.get(), |last| *first <= last);
        answered.then(|| self.messages.pop_front()).flatten()
    }

    /// All that was answered is taken out.
    pub(super) fn end(&mut self) {
        self.messages.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tickets: std::ops::Range<u64>) -> Run {
        let mut run = Run::default();
        run.begin(tickets.map(|ticket| (Ticket::new(ticket), 1)), true);
        run
    }

    fn ticket(ticket: u64) -> Ticket {
        Ticket::new(ticket)
    }

    #[test]
    fn what_is_before_its_place_was_answered() {
        let mut run = run(5..9);
        assert!(run.has_begun(ticket(5)) && !run.has_begun(ticket(6)));
        assert_eq!(run.next_answered(None), None);
        let at = run.at();
        assert!(at.go_on(ticket(5), ticket(6)) && at.go_on(ticket(6), ticket(7)));
        assert!(run.has_begun(ticket(7)) && !run.has_begun(ticket(8)));
        assert!(!run.has_begun(ticket(4)), "not one of them");
        assert_eq!(run.next_answered(None), Some((ticket(5), 1)));
        assert_eq!(run.next_answered(Some(ticket(7))), Some((ticket(6), 1)));
        assert_eq!(run.next_answered(None), None);
        assert_eq!(run.next_answered(Some(ticket(7))), Some((ticket(7), 1)));
        assert_eq!(run.next_answered(Some(ticket(7))), None);
    }

    #[test]
    fn one_alone_does_not_go_on() {
        let mut run = Run::default();
        run.begin([(ticket(0), 1), (ticket(1), 1)].into_iter(), false);
        assert!(!run.at().go_on(ticket(0), ticket(1)));
        assert_eq!(run.next_answered(Some(ticket(1))), Some((ticket(0), 1)));
        assert_eq!(run.next_answered(Some(ticket(1))), None);
    }

    #[test]
    fn one_that_was_stopped_does_not_go_on() {
        let run = run(0..3);
        run.stop();
        assert!(!run.at().go_on(ticket(0), ticket(1)));
        assert!(run.has_begun(ticket(0)) && !run.has_begun(ticket(1)));
    }
}
