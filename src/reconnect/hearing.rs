//! Those who find a connection dead while others, who came before them, have not heard of it yet.
//!
//! A new connection made now would take them past the others, who may be about to fail and to be sent
//! again. So they wait until the others have heard: their futures have ended, or were dropped. As soon as
//! one of those has failed, they fail too, which leaves the order to the layer above; what that replays
//! does not wait here. If none has failed they go on, in the order of their calls.
//!
//! It takes no longer than [`HEARING`] from the connection's death on, however many wait and for whom:
//! somebody may never be polled again.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::alarm::Alarm;
use super::line::{Elders, Line, Place};
use crate::NotSent;

/// For how long a dead connection's calls may take to hear of it, before others go past them.
pub(super) const HEARING: Duration = Duration::from_millis(20);

/// One who waits. Dropping it gives its place up.
pub(super) struct Hearing {
    place: Place,
    /// What it fails with.
    error: Option<NotSent>,
    alarm: Option<Alarm>,
}

impl Hearing {
    /// In its place among those who waited for the connection to be ready, or in the last one.
    pub(super) fn new(place: Place, error: NotSent) -> Self {
        Self {
            place,
            error: Some(error),
            alarm: None,
        }
    }

    /// For a call that finds no connection, if there is anybody to wait for. Who has failed already has
    /// left the order to the layer above, whose replay this may be.
    pub(super) fn join(line: &Arc<Line>, error: impl FnOnce() -> NotSent) -> Option<Self> {
        let hear = line.is_unheard() && !line.has_failed_calls();
        let over = || line.died().elapsed() >= HEARING;
        (hear && !over()).then(|| Self::new(Place::join(line), error()))
    }

    /// Ready with nothing when it may go on to a new connection.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<NotSent>> {
        match self.place.elders(cx) {
            Elders {
                have_failed: true, ..
            } => return Poll::Ready(self.error.take()),
            Elders {
                have_heard: true,
                wait: false,
                ..
            } => return Poll::Ready(None),
            _ => {}
        }
        let line = self.place.line();
        let alarm = || Alarm::at(line.died() + HEARING);
        let alarm = self.alarm.get_or_insert_with(alarm);
        ready!(alarm.poll(cx));
        // Somebody may have come in this moment.
        let elders = self.place.elders(cx);
        Poll::Ready(match elders.have_heard && !elders.have_failed {
            true => None,
            false => self.error.take(),
        })
    }
}
