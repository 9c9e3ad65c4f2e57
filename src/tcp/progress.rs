//! Whether the peer's kernel still acknowledges what it is sent.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::socket::Socket;

/// So many looks in the time that is allowed. An acknowledgement is seen one look late at most.
const LOOKS: u32 = 16;
/// So much later, so that the kernel comes first: it may know of a reason. It counts from its first
/// retransmission, which comes after a fifth of a second or so.
const GRACE: Duration = Duration::from_secs(1);
/// The finest that the timer can do.
const SHORTEST_DELAY: Duration = Duration::from_millis(1);

/// A watch over bytes that stay unacknowledged.
///
/// TCP_USER_TIMEOUT should do it, and does it in most cases. But Linux counts from the last sign of
/// life while it can't send at all: a peer that goes on sending its own bytes again, because it hears
/// no acknowledgement, keeps a connection alive whose every byte is stuck here.
pub(super) struct Watch {
    limit: Option<Duration>,
    /// Made once. While nobody asks it fires at most once.
    timer: Option<Pin<Box<Sleep>>>,
    stuck: Option<Stuck>,
}

/// Something is unacknowledged, all of it after this place in the stream.
struct Stuck {
    acknowledged: u64,
    since: Instant,
}

impl Watch {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            timer: None,
            stuck: None,
        }
    }

    /// Ready when nothing was acknowledged for too long although something was to be: after the limit
    /// and a second, at the next look. To be polled while something is under way. Where the platform
    /// doesn't tell, never ready.
    pub(super) fn poll_stalled(
        &mut self,
        io: &impl Socket,
        cx: &mut Context<'_>,
    ) -> Poll<io::Error> {
        let Some(limit) = self.limit else {
            return Poll::Pending;
        };
        let delay = (limit / LOOKS).max(SHORTEST_DELAY);
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(delay)));
        while timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            timer.as_mut().reset(now + delay);
            let Ok(unacknowledged) = io.unacknowledged() else {
                self.limit = None;
                break;
            };
            let stuck = Stuck::look(self.stuck.take(), io.written(), unacknowledged, now);
            if stuck
                .as_ref()
                .is_some_and(|stuck| now - stuck.since >= limit + GRACE)
            {
                return Poll::Ready(stalled(limit));
            }
            self.stuck = stuck;
        }
        Poll::Pending
    }
}

impl Stuck {
    fn look(before: Option<Self>, written: u64, unacknowledged: u64, now: Instant) -> Option<Self> {
        let acknowledged = written.saturating_sub(unacknowledged);
        match before {
            _ if unacknowledged == 0 => None,
            Some(before) if before.acknowledged == acknowledged => Some(before),
            _ => Some(Self {
                acknowledged,
                since: now,
            }),
        }
    }
}

fn stalled(limit: Duration) -> io::Error {
    let text = format!("what was sent was not acknowledged for {limit:?}");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

#[cfg(test)]
mod tests;
