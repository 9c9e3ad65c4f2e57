//! What an outbox asks of the links.

use super::Table;
use crate::Destination;
use crate::sync::atomic::Ordering;

impl Table {
    /// So many more destinations have something in the outbox, which is before all new calls. Wakes
    /// nobody, so that it may be called under the outbox's lock.
    pub(crate) fn add_boxes(&self, boxes: isize) {
        let mut state = self.lock();
        state.boxes = state.boxes.saturating_add_signed(boxes);
        self.set_gate(&state);
    }

    /// Whether a request of the outbox, too, may have to be held.
    pub(crate) fn are_shut(&self) -> bool {
        self.shut.load(Ordering::Relaxed) > 0
    }

    /// See [`Link::postpone_probe`](super::state::Link::postpone_probe).
    pub(crate) fn postpone_probe(&self, destination: &Destination) {
        self.run(|state, now, effects| {
            effects.in_task = true;
            state.link(destination, effects, |entry, wakes| {
                entry.link.postpone_probe(now, wakes);
            });
        });
    }
}
