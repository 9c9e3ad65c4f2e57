use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::vec::Drain;

use super::Ticket;

/// Messages that a worker delivers one after the other: it goes from one to the next without the
/// book's lock, until somebody who has news for it stops it there.
#[derive(Default)]
pub(super) struct Run {
    at: Arc<At>,
    /// With their sizes, in their order. The first of them may have been answered.
    messages: Vec<(Ticket, usize)>,
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

    /// The delivery of the first of them begins: of all that there are, or of one alone.
    pub(super) fn begin(&mut self, messages: impl Iterator<Item = (Ticket, usize)>) {
        self.messages.clear();
        self.messages.extend(messages);
        if let Some((first, _)) = self.messages.first() {
            let goes_on = if self.messages.len() > 1 { GOES_ON } else { 0 };
            self.at
                .0
                .store(At::place(*first) | goes_on, Ordering::Release);
        }
    }

    /// Whether there may be one behind the present one.
    pub(super) fn goes_on(&self) -> bool {
        self.messages.len() > 1
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

    /// Takes out those that were answered: those before the present one, or up to `last`.
    pub(super) fn answered(&mut self, last: Option<Ticket>) -> Drain<'_, (Ticket, usize)> {
        let at = self.at.get();
        let is_answered = |ticket| last.map_or(ticket < at, |last| ticket <= last);
        let messages = &mut self.messages;
        let number = messages.partition_point(|(ticket, _)| is_answered(*ticket));
        messages.drain(..number)
    }

    /// It is over, and all that was answered is taken out.
    pub(super) fn end(&mut self) {
        self.messages.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(tickets: std::ops::Range<u64>) -> Run {
        let mut run = Run::default();
        run.begin(tickets.map(|number| (ticket(number), 1)));
        run
    }

    fn ticket(number: u64) -> Ticket {
        Ticket::new(number)
    }

    fn answered(run: &mut Run, last: Option<u64>) -> Vec<u64> {
        let answered = run.answered(last.map(Ticket::new));
        answered.map(|(ticket, _)| ticket.get()).collect()
    }

    #[test]
    fn what_is_before_its_place_was_answered() {
        let mut run = run(5..9);
        assert!(run.has_begun(ticket(5)) && !run.has_begun(ticket(6)));
        assert!(answered(&mut run, None).is_empty());
        let at = run.at();
        assert!(at.go_on(ticket(5), ticket(6)) && at.go_on(ticket(6), ticket(7)));
        assert!(run.has_begun(ticket(7)) && !run.has_begun(ticket(8)));
        assert!(!run.has_begun(ticket(4)), "not one of them");
        assert_eq!(answered(&mut run, None), [5, 6]);
        assert!(answered(&mut run, None).is_empty());
        assert_eq!(answered(&mut run, Some(7)), [7]);
        assert!(answered(&mut run, Some(7)).is_empty());
    }

    #[test]
    fn one_alone_does_not_go_on() {
        let mut run = run(0..1);
        assert!(!run.at().go_on(ticket(0), ticket(1)));
        assert_eq!(answered(&mut run, Some(1)), [0]);
    }

    #[test]
    fn one_that_was_stopped_does_not_go_on() {
        let run = run(0..3);
        run.stop();
        assert!(!run.at().go_on(ticket(0), ticket(1)));
        assert!(run.has_begun(ticket(0)) && !run.has_begun(ticket(1)));
    }
}
