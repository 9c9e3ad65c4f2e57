use std::fmt;

/// The number of a message in an outbox: unique in it, in the order of the calls. An outbox in a file
/// keeps it over restarts, and gives none a second time, so that it leaves some out after each; one in
/// memory begins with 0 again.
///
/// It can serve the receiver to tell a message that it gets a second time, if the message
/// [has it](crate::Replayable::set_ticket).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// The ticket of this number, for [`Store`](super::Store)s.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
