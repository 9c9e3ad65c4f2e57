use super::Ticket;

/// A set of some tickets, which mostly come in their order.
#[derive(Default)]
pub(super) struct Tickets(Vec<Ticket>);

impl Tickets {
    pub(super) fn insert(&mut self, ticket: Ticket) {
        match self.0.last() {
            Some(last) if *last >= ticket => {
                if let Err(at) = self.0.binary_search(&ticket) {
                    self.0.insert(at, ticket);
                }
            }
            _ => self.0.push(ticket),
        }
    }

    pub(super) fn contains(&self, ticket: Ticket) -> bool {
        self.0.last().is_some_and(|last| *last >= ticket) && self.0.binary_search(&ticket).is_ok()
    }

    pub(super) fn last(&self) -> Option<Ticket> {
        self.0.last().copied()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
