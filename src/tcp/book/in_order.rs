use std::collections::VecDeque;
use std::task::{Context, Poll};

use super::{Book, Done, Frame, poll_all_abandoned, unexpected};
use crate::Sent;
use crate::tcp::error::Error;
use crate::tcp::outgoing::Span;
use crate::tcp::slot::Slot;

/// Answers come in the order of the requests.
pub(in crate::tcp) struct InOrder<Res> {
    frames: VecDeque<Frame<Res>>,
}

impl<Res> InOrder<Res> {
    pub(in crate::tcp) fn new() -> Self {
        Self {
            frames: VecDeque::new(),
        }
    }
}

impl<Req, Res> Book<Req> for InOrder<Res> {
    type Res = Res;
    type Key = ();

    fn key(&mut self, _: &mut Req) -> Result<(), Error> {
        Ok(())
    }

    #[inline]
    fn insert(&mut self, (): (), span: Span, slot: Slot<Res>) {
        self.frames.push_back(Frame { span, slot });
    }

    #[inline]
    fn answered(&mut self, answer: Res, written: u64) -> Result<Option<Done<Res>>, Error> {
        match self.frames.pop_front() {
            Some(frame) if frame.span.is_begun(written) => Ok(Some((frame.slot, answer))),
            Some(early) => {
                self.frames.push_front(early);
                Err(unexpected())
            }
            None => Err(unexpected()),
        }
    }

    fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll_all_abandoned(&mut self.frames, cx)
    }

    fn drain(&mut self, written: u64) -> Vec<(Slot<Res>, Sent)> {
        let frames = self.frames.drain(..);
        frames.map(|frame| frame.into_evidence(written)).collect()
    }
}
