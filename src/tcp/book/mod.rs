//! The requests in flight, and how they find out that they are done.

mod by_id;
mod in_order;
mod one_way;

use std::io;
use std::task::{Context, Poll, ready};

use super::error::{Error, ErrorKind};
use super::outgoing::Span;
use super::slot::Slot;
use super::socket::Socket;
use crate::Sent;

pub(super) use by_id::ById;
pub(super) use in_order::InOrder;
pub(super) use one_way::OneWay;

/// A request whose frame is in the stream.
pub(super) struct Frame<Res> {
    span: Span,
    slot: Slot<Res>,
}

/// A request that is done, and its answer.
pub(super) type Done<Res> = (Slot<Res>, Res);

pub(super) trait Book<Req> {
    type Res;
    /// A request is done when the peer's kernel has it. To tear the connection down could lose some
    /// that wait there to be read.
    const KERNEL_ACKNOWLEDGED: bool = false;
    /// By what the request will be found again.
    type Key;

    /// Asked before the request is encoded. Its error is this request's alone.
    fn key(&mut self, request: &mut Req) -> Result<Self::Key, Error>;

    /// The request was encoded.
    fn insert(&mut self, key: Self::Key, span: Span, slot: Slot<Self::Res>);

    /// An answer came: whose is it? `None` if it is for no request, and that is fine. The error is
    /// the end of the connection.
    fn answered(
        &mut self,
        answer: Self::Res,
        written: u64,
    ) -> Result<Option<Done<Self::Res>>, Error>;

    /// All that was written so far has left the buffers above the socket.
    fn flushed(&mut self, _io: &impl Socket, _written: u64) {}

    /// The next request that is done without an answer.
    fn poll_done(
        &mut self,
        _io: &impl Socket,
        _cx: &mut Context<'_>,
    ) -> Poll<io::Result<Done<Self::Res>>> {
        Poll::Pending
    }

    fn is_empty(&self) -> bool;

    /// Waits until all callers have gone.
    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes all requests out, oldest first, with the evidence whether they were sent.
    fn drain(&mut self, written: u64) -> Vec<(Slot<Self::Res>, Sent)>;
}

impl<Res> Frame<Res> {
    fn into_evidence(self, written: u64) -> (Slot<Res>, Sent) {
        (self.slot, self.span.sent(written))
    }
}

fn poll_all_abandoned<'a, Res: 'a>(
    frames: impl IntoIterator<Item = &'a mut Frame<Res>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    for frame in frames {
        ready!(frame.slot.poll_abandoned(cx));
    }
    Poll::Ready(())
}

fn unexpected() -> Error {
    Error::unsent(ErrorKind::UnexpectedAnswer, None)
}
