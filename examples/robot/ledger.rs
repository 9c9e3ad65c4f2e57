//! What arrived at the base, in which order and when. All figures come from here.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

#[derive(Default)]
pub(crate) struct Ledger(Mutex<Vec<Receipt>>);

#[derive(Clone, Copy)]
pub(crate) struct Receipt {
    pub(crate) number: u64,
    pub(crate) at: Instant,
}

/// What became of the messages of one room, or of the whole tour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) sent: u64,
    /// Different messages that arrived.
    pub(crate) delivered: u64,
    /// Sent, and never arrived.
    pub(crate) lost: u64,
    /// Arrived more than once.
    pub(crate) duplicated: u64,
    /// Arrived for the first time after one with a higher number had arrived for the first time.
    pub(crate) out_of_order: u64,
}

impl Ledger {
    pub(crate) fn record(&self, number: u64) {
        let at = Instant::now();
        let mut receipts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        receipts.push(Receipt { number, at });
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Counts the messages of these rooms; `rooms` are the ranges of the numbers that were sent there.
pub(crate) fn count(receipts: &[Receipt], rooms: &[Range<u64>]) -> Vec<Count> {
    let mut times: HashMap<u64, u64> = HashMap::new();
    let mut late: Vec<u64> = Vec::new();
    let mut highest = 0;
    for Receipt { number, .. } in receipts {
        let times = times.entry(*number).or_default();
        *times += 1;
        if *times == 1 && *number < highest {
            late.push(*number);
        }
        highest = highest.max(*number);
    }
    let count = |room: &Range<u64>| {
        let arrived = || room.clone().filter_map(|number| times.get(&number));
        let sent = room.end - room.start;
        let delivered = arrived().count() as u64;
        Count {
            sent,
            delivered,
            lost: sent - delivered,
            duplicated: arrived().filter(|times| **times > 1).count() as u64,
            out_of_order: late.iter().filter(|number| room.contains(number)).count() as u64,
        }
    };
    rooms.iter().map(count).collect()
}
