use std::collections::HashMap;

use redb::Table;

use super::fault::Fault;
use super::record::{Damaged, Envelope, Key, Meta, Queue};
use crate::Destination;
use crate::outbox::Contents;

/// The engine's table.
pub(super) type Rows<'a> = Table<'a, Key, &'static [u8]>;

/// What is in memory of a file: one entry for each destination, none for a message.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) meta: Meta,
    pub(super) queues: HashMap<Destination, Queue>,
}

impl Index {
    /// Takes in a row that is not a message.
    pub(super) fn load(&mut self, number: u64, row: &[u8]) -> Result<(), Damaged> {
        if number == Meta::KEY.1 {
            self.meta = Meta::read(row)?;
        } else {
            let (destination, queue) = Queue::read(number, row)?;
            self.queues.insert(destination, queue);
        }
        Ok(())
    }

    /// How many rows the table must have.
    pub(super) fn rows(&self) -> u64 {
        1 + self.queues.len() as u64 + self.len()
    }

    pub(super) fn len(&self) -> u64 {
        self.queues.values().map(|queue| queue.len).sum()
    }

    pub(super) fn contents(&self) -> Contents {
        let of = |(destination, queue): (&Destination, &Queue)| {
            (destination.clone(), count(queue.len), count(queue.bytes))
        };
        Contents {
            next: self.meta.next,
            clock: std::time::Duration::from_nanos(self.meta.clock),
            destinations: self.queues.iter().map(of).collect(),
        }
    }

    /// What becomes of it when something is committed.
    pub(super) fn draft(&self) -> Draft<'_> {
        let commits = self.meta.commits + 1;
        Draft {
            before: self,
            meta: Meta {
                commits,
                ..self.meta
            },
            touched: HashMap::new(),
        }
    }

    /// It was committed.
    pub(super) fn apply(&mut self, meta: Meta, touched: HashMap<Destination, Queue>) {
        self.meta = meta;
        for (destination, queue) in touched {
            if queue.len == 0 {
                self.queues.remove(&destination);
            } else {
                self.queues.insert(destination, queue);
            }
        }
    }
}

fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Changes that are not committed yet.
pub(super) struct Draft<'a> {
    before: &'a Index,
    pub(super) meta: Meta,
    touched: HashMap<Destination, Queue>,
}

impl Draft<'_> {
    /// The key of a message that is put.
    pub(super) fn key(&mut self, destination: &Destination, ticket: u64) -> Key {
        let number = match self.queue(destination) {
            Some(queue) => queue.number,
            None => {
                self.meta.destinations += 1;
                let queue = Queue {
                    number: self.meta.destinations,
                    ..Queue::default()
                };
                self.touched.insert(destination.clone(), queue);
                queue.number
            }
        };
        (number, ticket)
    }

    pub(super) fn put(
        &mut self,
        rows: &mut Rows<'_>,
        destination: &Destination,
        key: Key,
        row: &[u8],
    ) -> Result<(), Fault> {
        let before = rows
            .insert(key, row)?
            .map(|row| Envelope::size(row.value()));
        if let Some(queue) = self.queue(destination) {
            queue.len += u64::from(before.is_none());
            queue.bytes = queue.bytes.saturating_sub(before.unwrap_or(0));
            queue.bytes = queue.bytes.saturating_add(Envelope::size(row));
        }
        self.meta.next = self.meta.next.max(key.1.saturating_add(1));
        Ok(())
    }

    pub(super) fn remove(
        &mut self,
        rows: &mut Rows<'_>,
        destination: &Destination,
        ticket: u64,
    ) -> Result<(), Fault> {
        let Some(queue) = self.queue(destination) else {
            return Ok(());
        };
        if let Some(row) = rows.remove((queue.number, ticket))? {
            queue.len = queue.len.saturating_sub(1);
            let size = Envelope::size(row.value());
            queue.bytes = queue.bytes.saturating_sub(size);
        }
        Ok(())
    }

    /// Writes what was counted.
    pub(super) fn finish(
        self,
        rows: &mut Rows<'_>,
    ) -> Result<(Meta, HashMap<Destination, Queue>), Fault> {
        for (destination, queue) in &self.touched {
            if queue.len == 0 {
                rows.remove(queue.key())?;
            } else {
                rows.insert(queue.key(), &queue.write(destination)[..])?;
            }
        }
        rows.insert(Meta::KEY, &self.meta.write()[..])?;
        Ok((self.meta, self.touched))
    }

    fn queue(&mut self, destination: &Destination) -> Option<&mut Queue> {
        if !self.touched.contains_key(destination) {
            let queue = *self.before.queues.get(destination)?;
            self.touched.insert(destination.clone(), queue);
        }
        self.touched.get_mut(destination)
    }
}
