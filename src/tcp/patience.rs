use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// For how long a peer that owes an answer may be silent.
pub(super) struct Patience {
    limit: Option<Duration>,
    since: Option<Instant>,
    /// Set to an instant that is not after the real end; when it fires, it is set again.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    pub(super) fn new(limit: Option<Duration>) -> Self {
        Self {
            limit,
            since: None,
            timer: None,
        }
    }

    /// The peer was heard, or has just begun to owe an answer.
    pub(super) fn restart(&mut self) {
        if self.limit.is_some() {
            self.since = Some(Instant::now());
        }
    }

    /// Ready when the peer was silent for too long. To be polled only while it owes an answer.
    pub(super) fn poll_exhausted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (Some(limit), Some(since)) = (self.limit, self.since) else {
            return Poll::Pending;
        };
        // Beyond the end of time: never.
        let Some(end) = since.checked_add(limit) else {
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(end)));
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= end {
                return Poll::Ready(());
            }
            timer.as_mut().reset(end);
        }
    }
}
