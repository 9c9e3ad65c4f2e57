//! A store in memory with faults, and what a former process has left in one.

use std::sync::mpsc;
use std::time::Duration;

use tower_conn_retry::outbox::{Changes, Contents, MemoryStore, Message as Stored, Store, Ticket};
use tower_conn_retry::{BoxError, Destination, Outbox};

use crate::peer::*;

fn stored(number: u64) -> Stored<Message> {
    Stored {
        ticket: Ticket::new(number),
        destination: Destination::default(),
        request: message(number),
        size: 100,
        since: Duration::ZERO,
        attempts: 0,
        maybe_sent: false,
        max_age: None,
    }
}

/// What a former process has left.
pub(super) fn leftovers(numbers: std::ops::Range<u64>) -> MemoryStore<Message> {
    let mut store = MemoryStore::new();
    let changes = Changes {
        put: numbers.map(stored).collect(),
        remove: Vec::new(),
        clock: Duration::ZERO,
    };
    store.commit(changes).unwrap();
    store
}

pub(super) fn with_leftovers(numbers: std::ops::Range<u64>) -> Outbox<Message> {
    Outbox::builder().store(leftovers(numbers)).unwrap()
}

/// A store in memory with faults.
pub(super) struct Faulty {
    pub(super) inner: MemoryStore<Message>,
    pub(super) in_memory: bool,
    pub(super) refuses: bool,
    pub(super) unreadable: Vec<u64>,
    /// Told when something was read; the answer waits for a word.
    pub(super) after_read: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
    /// Not before it was read so often.
    pub(super) reads_before: usize,
    /// Told when it ends, which waits for a word.
    pub(super) at_end: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
}

impl Faulty {
    pub(super) fn new(inner: MemoryStore<Message>) -> Self {
        Self {
            inner,
            in_memory: true,
            refuses: false,
            unreadable: Vec::new(),
            after_read: None,
            reads_before: 0,
            at_end: None,
        }
    }
}

impl Store<Message> for Faulty {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.inner.contents()
    }

    fn commit(&mut self, changes: Changes<Message>) -> Result<(), BoxError> {
        if self.refuses && !changes.put.is_empty() {
            return Err("no room left".into());
        }
        self.inner.commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Message>, BoxError>),
    ) -> Result<(), BoxError> {
        let unreadable = &self.unreadable;
        self.inner.read(
            destination,
            after,
            most,
            &mut |ticket, message| match unreadable.contains(&ticket.get()) {
                true => show(ticket, Err("damaged".into())),
                false => show(ticket, message),
            },
        )?;
        if self.reads_before > 0 {
            self.reads_before -= 1;
        } else if let Some((read, go_on)) = self.after_read.take() {
            read.send(())?;
            go_on.recv()?;
        }
        Ok(())
    }

    fn is_in_memory(&self) -> bool {
        self.in_memory
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if let Some((ends, go_on)) = self.at_end.take() {
            let _ = ends.send(());
            let _ = go_on.recv();
        }
    }
}
