use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::Ticket;
use super::by_destination::ByDestination;
use super::store::{Changes, Contents, Message, Store};
use crate::{BoxError, Destination};

/// Keeps messages in memory: they end with the process.
#[derive(Debug)]
pub struct MemoryStore<Req> {
    /// In the order of their tickets.
    destinations: HashMap<Destination, VecDeque<Message<Req>>, ByDestination>,
    next: u64,
    clock: Duration,
}

impl<Req> MemoryStore<Req> {
    /// An empty store.
    pub fn new() -> Self {
        Self {
            destinations: HashMap::default(),
            next: 0,
            clock: Duration::ZERO,
        }
    }

    fn put(&mut self, message: Message<Req>) {
        self.next = self.next.max(message.ticket.get() + 1);
        let queue = self
            .destinations
            .entry(message.destination.clone())
            .or_default();
        match queue.back() {
            Some(last) if message.ticket <= last.ticket => {
                let at = queue.partition_point(|other| other.ticket < message.ticket);
                queue.insert(at, message);
            }
            _ => queue.push_back(message),
        }
    }

    /// All of one destination.
    fn take_out(
        &mut self,
        destination: &Destination,
        tickets: impl Iterator<Item = Ticket> + Clone,
    ) {
        let Some(queue) = self.destinations.get_mut(destination) else {
            return;
        };
        // Mostly they are the first.
        let pairs = queue.iter().zip(tickets.clone());
        let first = pairs.take_while(|(message, ticket)| message.ticket == *ticket);
        let first = first.count();
        queue.drain(..first);
        for ticket in tickets.skip(first) {
            if let Ok(at) = queue.binary_search_by_key(&ticket, |message| message.ticket) {
                queue.remove(at);
            }
        }
        if queue.is_empty() {
            self.destinations.remove(destination);
        }
    }
}

impl<Req> Default for MemoryStore<Req> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Req: Send + 'static> Store<Req> for MemoryStore<Req> {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        let of = |queue: &VecDeque<Message<Req>>| {
            let bytes = queue.iter().map(|message| message.size).sum();
            (queue.len(), bytes)
        };
        let destinations = self.destinations.iter().map(|(destination, queue)| {
            let (len, bytes) = of(queue);
            (destination.clone(), len, bytes)
        });
        Ok(Contents {
            next: self.next,
            clock: self.clock,
            destinations: destinations.collect(),
        })
    }

    fn commit(&mut self, changes: Changes<Req>) -> Result<(), BoxError> {
        changes
            .put
            .into_iter()
            .for_each(|message| self.put(message));
        let gone = changes.remove.chunk_by(|one, other| one.0 == other.0);
        for gone in gone {
            self.take_out(&gone[0].0, gone.iter().map(|(_, ticket)| *ticket));
        }
        self.clock = changes.clock;
        Ok(())
    }

    fn remove(
        &mut self,
        destination: &Destination,
        tickets: &[Ticket],
        clock: Duration,
    ) -> Result<(), BoxError> {
        self.take_out(destination, tickets.iter().copied());
        self.clock = clock;
        Ok(())
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Message<Req>, BoxError>),
    ) -> Result<(), BoxError> {
        let Some(queue) = self.destinations.get(destination) else {
            return Ok(());
        };
        let first = after.map_or(0, |after| after_ticket(queue, after));
        let shown = queue.range(first..).take(most);
        shown.for_each(|message| show(message.ticket, Ok(message)));
        Ok(())
    }

    fn is_in_memory(&self) -> bool {
        true
    }
}

/// Where those begin that come after this ticket. Mostly that is near the front, and a million messages
/// are many pages to search in.
fn after_ticket<Req>(queue: &VecDeque<Message<Req>>, after: Ticket) -> usize {
    let is_before = |at| queue.get(at).is_some_and(|message| message.ticket <= after);
    let (mut low, mut high) = (0, 1);
    while is_before(high - 1) {
        (low, high) = (high, 2 * high);
    }
    while low < high {
        let middle = low.midpoint(high);
        match is_before(middle) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    low
}
