use std::time::Duration;

use super::Ticket;
use crate::{BoxError, Destination};

/// Where an outbox keeps its messages: in memory, on disk, or where you like.
///
/// The outbox does all the thinking; a store keeps messages by destination and ticket. Its methods
/// may block: unless it says that it is [in memory](Self::is_in_memory), they are called on a thread of their own,
/// one at a time. `test_store` and `test_store_killed` (feature `test-util`) test an implementation.
///
/// After an error nothing may have changed. The outbox goes on: the call whose message could not be
/// stored fails with [`Reason::NotStored`](crate::Reason::NotStored), and its error tells this one; what could
/// not be removed is tried again each second, and delivered a second time if the process ends before; what
/// could not be read is tried again. Where messages are put and others removed and that fails, those that
/// are put are tried alone. [`Observer::store_failed`](crate::Observer::store_failed) is told of each error. A panic
/// is an error like others. A store that blocks is dropped when the outbox is
/// [closed](crate::Outbox::close).
pub trait Store<Req>: Send + 'static {
    /// What is there from before. Called once, first.
    ///
    /// # Errors
    ///
    /// The store can't be read; the outbox is not opened.
    fn contents(&mut self) -> Result<Contents, BoxError>;

    /// Whether this message can be stored at all. One that can't fails alone; asked before each
    /// message is put, unless the store is [in memory](Self::is_in_memory). Default: yes.
    ///
    /// # Errors
    ///
    /// It can't, whatever the state of the store: a codec refuses it, it is too large.
    fn accept(&self, message: &Message<Req>) -> Result<(), BoxError> {
        let _ = message;
        Ok(())
    }

    /// Makes all changes or none. They are durable when it returns `Ok`, if they ever are.
    ///
    /// Messages come nearly, but not quite in the order of their tickets.
    ///
    /// # Errors
    ///
    /// Nothing was changed.
    fn commit(&mut self, changes: Changes<Req>) -> Result<(), BoxError>;

    /// Shows the messages of a destination in the order of their tickets, `most` at most: those
    /// after this ticket, or from the first on. It may show fewer, since large ones take memory, but
    /// at least one if there is one: none means that there are no more.
    ///
    /// # Errors
    ///
    /// The store can't be read now. (A message that alone can't be read is shown as one that
    /// can't.)
    #[allow(clippy::type_complexity)] // an alias would hide what is shown
    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Message<Req>, BoxError>),
    ) -> Result<(), BoxError>;

    /// Takes out messages of one destination, as [`commit`](Self::commit) does, which is what it calls by
    /// default. A store that is [in memory](Self::is_in_memory) may have a quicker way; no other is
    /// asked.
    ///
    /// # Errors
    ///
    /// Nothing was changed.
    fn remove(
        &mut self,
        destination: &Destination,
        tickets: &[Ticket],
        clock: Duration,
    ) -> Result<(), BoxError> {
        let gone = tickets.iter().map(|ticket| (destination.clone(), *ticket));
        self.commit(Changes {
            put: Vec::new(),
            remove: gone.collect(),
            clock,
        })
    }

    /// Keeps this number, durably if anything is: the [next](Contents::next) one of whoever opens the store
    /// later is not below it. Tickets of calls that were answered at once are below it, though nothing was
    /// ever put under them.
    ///
    /// Called when the outbox is opened, and once in some millions of calls. Default: nothing. Then such
    /// tickets are given again after a restart, and do not [tell](crate::Replayable::set_ticket) the
    /// receiver what comes a second time.
    ///
    /// # Errors
    ///
    /// It can't be kept. The outbox is not opened, or a later call tries it again.
    fn reserve(&mut self, next: u64) -> Result<(), BoxError> {
        let _ = next;
        Ok(())
    }

    /// Whether no method blocks. Then they are called where the outbox is, which is quicker.
    /// Default: no.
    fn is_in_memory(&self) -> bool {
        false
    }
}

/// What a [`Store`] holds.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// Above all tickets that were ever stored, and not below what was [reserved](Store::reserve); 0 if there
    /// was none.
    pub next: u64,
    /// The last [clock](Changes::clock).
    pub clock: Duration,
    /// How many messages there are for each destination, and their sizes in all.
    pub destinations: Vec<(Destination, usize, usize)>,
}

/// A message of an outbox.
#[derive(Debug, Clone)]
pub struct Message<Req> {
    /// Its number.
    pub ticket: Ticket,
    /// Where it goes.
    pub destination: Destination,
    /// What is sent.
    pub request: Req,
    /// [`Replayable::size_hint`](crate::Replayable::size_hint) of the request.
    pub size: usize,
    /// When it was stored, on the outbox's [clock](Changes::clock).
    pub since: Duration,
    /// How many attempts it had before it was stored.
    pub attempts: u32,
    /// One of them may have been sent.
    pub maybe_sent: bool,
    /// [`Replayable::max_age`](crate::Replayable::max_age) of the request.
    pub max_age: Option<Duration>,
}

/// What changes in a store.
#[derive(Debug)]
pub struct Changes<Req> {
    /// These are new.
    pub put: Vec<Message<Req>>,
    /// These go. One that is not there is none the less gone.
    pub remove: Vec<(Destination, Ticket)>,
    /// For how long the outbox has been open, over all restarts. It stands still while it is closed or
    /// the machine sleeps, and knows nothing of dates, so that no change of the date makes a message
    /// old.
    pub clock: Duration,
}
