use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

use super::{Book, Done, Frame, poll_all_abandoned, unexpected};
use crate::Sent;
use crate::tcp::error::Error;
use crate::tcp::outgoing::Span;
use crate::tcp::slot::Slot;
use crate::tcp::socket::Socket;

/// How long until the next look at what was acknowledged, at first. No event tells.
const FIRST_LOOK: Duration = Duration::from_millis(1);
/// The time doubles up to this while nothing is. A peer delays its acknowledgements by 40 ms or so.
const NEXT_LOOKS: Duration = Duration::from_millis(16);

/// There are no answers: a request is done when the peer's kernel has acknowledged its frame.
pub(in crate::tcp) struct OneWay {
    frames: VecDeque<Frame<()>>,
    /// Up to where the stream is known to be acknowledged.
    acknowledged: u64,
    /// Where places in the stream are in the socket's, if a layer is in between. Oldest first.
    marks: VecDeque<Mark>,
    delay: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

struct Mark {
    stream: u64,
    socket: u64,
}

impl OneWay {
    pub(in crate::tcp) fn new() -> Self {
        Self {
            frames: VecDeque::new(),
            acknowledged: 0,
            marks: VecDeque::new(),
            delay: FIRST_LOOK,
            timer: None,
            waiting: false,
        }
    }

    fn look(&mut self, io: &impl Socket) -> io::Result<()> {
        let acknowledged = io.written().saturating_sub(io.unacknowledged()?);
        if io.is_plain() {
            self.acknowledged = self.acknowledged.max(acknowledged);
            return Ok(());
        }
        let reached = |mark: &&Mark| mark.socket <= acknowledged;
        while let Some(mark) = self.marks.front().filter(reached) {
            self.acknowledged = mark.stream;
            self.marks.pop_front();
        }
        Ok(())
    }

    fn poll_delay(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep(self.delay)));
        if !self.waiting {
            timer.as_mut().reset(Instant::now() + self.delay);
            self.waiting = true;
        }
        ready!(timer.as_mut().poll(cx));
        self.waiting = false;
        self.delay = (self.delay * 2).min(NEXT_LOOKS);
        Poll::Ready(())
    }
}

impl<Req> Book<Req> for OneWay {
    type Res = ();
    type Key = ();
    const KERNEL_ACKNOWLEDGED: bool = true;

    fn key(&mut self, _: &mut Req) -> Result<(), Error> {
        Ok(())
    }

    fn insert(&mut self, (): (), span: Span, slot: Slot<()>) {
        self.frames.push_back(Frame { span, slot });
    }

    fn answered(&mut self, (): (), _: u64) -> Result<Option<Done<()>>, Error> {
        Err(unexpected())
    }

    fn flushed(&mut self, io: &impl Socket, written: u64) {
        if !io.is_plain() {
            self.marks.push_back(Mark {
                stream: written,
                socket: io.written(),
            });
        }
    }

    fn poll_done(&mut self, io: &impl Socket, cx: &mut Context<'_>) -> Poll<io::Result<Done<()>>> {
        let mut looked = false;
        while let Some(frame) = self.frames.front() {
            if frame.span.end <= self.acknowledged {
                self.delay = FIRST_LOOK;
                self.waiting = false;
                if let Some(frame) = self.frames.pop_front() {
                    return Poll::Ready(Ok((frame.slot, ())));
                }
            }
            let waits = self.waiting || looked;
            let still = waits && self.poll_delay(cx).is_pending();
            if looked && still {
                return Poll::Pending;
            }
            self.look(io)?;
            looked = true;
        }
        Poll::Pending
    }

    fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll_all_abandoned(&mut self.frames, cx)
    }

    fn drain(&mut self, written: u64) -> Vec<(Slot<()>, Sent)> {
        let frames = self.frames.drain(..);
        frames.map(|frame| frame.into_evidence(written)).collect()
    }
}

#[cfg(test)]
mod tests;
