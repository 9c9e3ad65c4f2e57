use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};

use super::ReplayBodyError;
use super::state::{Cursor, Next, Rest};
use super::tape::Tape;
use crate::BoxError;

/// A request body whose clones all read the same: data and trailers of `B`, of which what was read
/// is kept, up to a number of bytes. [`ReplayBodyLayer`](crate::ReplayBodyLayer) makes it.
///
/// # Who reads
///
/// Each clone starts from the beginning: with what is kept, then with the rest of the inner body.
/// Before the inner body is at its end, only one clone can read on: the one that was polled first
/// *last*. Any earlier one ends with [`ReplayBodyError::Superseded`], whatever it does and wherever it
/// is: a connection that has not noticed yet that its request was given up. So a replay never waits
/// for an attempt before it, and never misses what that one has read. Once the inner body is at its
/// end, any number of clones can be read side by side.
///
/// # What is kept
///
/// Data and trailers, until there are more than `max_bytes` of them. `Bytes` are shared, not copied,
/// so they keep the buffers that they are parts of; any other [`Buf`] is copied once
/// ([`Buf::copy_to_bytes`]). All clones share what is kept.
///
/// The last clone that is left keeps nothing: when it reads on, all is freed. So a stream that goes
/// on for long after its answer has begun does not fill the memory. A clone that is made of it later
/// [can't be read](Self::can_replay).
///
/// With more than `max_bytes`, or as soon as the inner body
/// [says](Body::size_hint) that there will be more, all is freed, the clone that reads goes on, and
/// [no other one can](Self::can_replay). The same after an error of the inner body.
///
/// # Errors
///
/// Those of the inner body, and [`ReplayBodyError`]. After one of the inner body, all clones end with
/// [`ReplayBodyError::NotReplayable`].
pub struct ReplayBody<B> {
    /// Not there while it is polled, and after its end.
    inner: Arc<Mutex<Option<Pin<Box<B>>>>>,
    tape: Arc<Tape>,
    cursor: Cursor,
}

/// What a request's extensions know about its body.
#[derive(Clone)]
pub(crate) struct Recording(Arc<Tape>);

impl<B: Body> ReplayBody<B> {
    /// A body that keeps up to `max_bytes` of what is read.
    ///
    /// Only [`ReplayBodyLayer`](crate::ReplayBodyLayer) tells the request too, so that no attempt is
    /// made with a body that can't be replayed. In a request type of your own, have
    /// [`Replayable::can_replay`](crate::Replayable::can_replay) ask [`can_replay`](Self::can_replay).
    pub fn new(inner: B, max_bytes: usize) -> Self {
        let rest = rest(&inner);
        let inner = (!rest.at_end).then(|| Box::pin(inner));
        let tape = Tape::new(max_bytes, rest);
        Self {
            inner: Arc::new(Mutex::new(inner)),
            tape: Arc::new(tape),
            cursor: Cursor::default(),
        }
    }
}

impl<B> ReplayBody<B> {
    /// Whether a clone can be read from the beginning to the end: either nothing of the inner body
    /// was read yet, or all that was is kept.
    pub fn can_replay(&self) -> bool {
        self.tape.can_replay()
    }

    pub(super) fn recording(&self) -> Recording {
        Recording(self.tape.clone())
    }

    fn set_inner(&self, inner: Option<Pin<Box<B>>>) -> Option<Pin<Box<B>>> {
        let mut slot = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut slot, inner)
    }
}

impl Recording {
    /// Whether the body can be replayed. If so, whoever has read it until now is superseded, so that
    /// the answer stays true.
    pub(crate) fn claim(&self) -> bool {
        self.0.claim()
    }

    /// What is kept of the body, and what will be, as far as it is known.
    pub(crate) fn known_bytes(&self) -> usize {
        self.0.known_bytes()
    }
}

impl<B> Clone for ReplayBody<B> {
    /// A body that is read from the beginning.
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            tape: self.tape.clone(),
            cursor: Cursor::default(),
        }
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.tape.clone().next(&mut self.cursor, cx) {
            Next::Frame(frame) => Poll::Ready(Some(Ok(frame))),
            Next::End => Poll::Ready(None),
            Next::Wait => Poll::Pending,
            Next::Fail(error) => Poll::Ready(Some(Err(error.into()))),
            Next::Read => self.read(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.tape.is_end_stream(&self.cursor)
    }

    fn size_hint(&self) -> SizeHint {
        self.tape.size_hint(&self.cursor)
    }
}

impl<B> ReplayBody<B>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    /// Polls the inner body, with no lock held.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let tape = self.tape.clone();
        let mut unless_it_panics = Abandon(Some(&tape));
        let Some(mut inner) = self.set_inner(None) else {
            // Never: the tape knows where it is.
            return Poll::Ready(Some(Err(ReplayBodyError::NotReplayable.into())));
        };
        let polled = inner.as_mut().poll_frame(cx).map_ok(|frame| {
            frame.map_data(|mut data| {
                let length = data.remaining();
                data.copy_to_bytes(length)
            })
        });
        let rest = rest(&*inner);
        let over = match &polled {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(_))) => rest.at_end,
            Poll::Ready(Some(Err(_)) | None) => true,
        };
        if over {
            drop(inner);
        } else {
            self.set_inner(Some(inner));
        }
        unless_it_panics.0 = None;
        let seen = match &polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(frame) => Poll::Ready(frame.as_ref().map(Result::as_ref)),
        };
        // Then there will be no other: it takes this one to make one.
        let is_only = Arc::strong_count(&self.inner) == 1;
        if let Err(error) = tape.record(&mut self.cursor, seen, rest, is_only, cx) {
            return Poll::Ready(Some(Err(error.into())));
        }
        polled.map_err(Into::into)
    }
}

fn rest(body: &impl Body) -> Rest {
    Rest {
        hint: body.size_hint(),
        at_end: body.is_end_stream(),
    }
}

/// What is left of a body whose poll panics can't be trusted.
struct Abandon<'a>(Option<&'a Tape>);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        if let Some(tape) = self.0 {
            tape.abandon();
        }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody")
            .field("can_replay", &self.can_replay())
            .field("kept_bytes", &self.tape.kept_bytes())
            .finish_non_exhaustive()
    }
}
