use std::task::{Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};

use super::ReplayBodyError;

/// Whom to wake.
pub(super) type Wakes = [Option<Waker>; 2];

/// What a body says about the rest of itself.
pub(super) struct Rest {
    pub(super) hint: SizeHint,
    pub(super) at_end: bool,
}

/// What was read, and by whom. It polls nothing and wakes nobody.
pub(super) struct State {
    kept: Vec<Kept>,
    /// The data and trailers in it.
    kept_bytes: u64,
    max_bytes: u64,
    /// All data that was read, kept or not.
    read: u64,
    /// What the body says about the rest.
    rest: SizeHint,
    /// The length, if it was known from the start: the peer may have been told.
    announced: Option<u64>,
    trailers: bool,
    /// What was read first is not kept.
    lost: bool,
    tail: Tail,
    /// The last reader. Only that one may read on.
    reader: u64,
    /// Wakes the last reader, whom the body has told to wait.
    parked: Option<Waker>,
    /// Wakes the last reader, who waits for the end of another one's poll.
    queued: Option<Waker>,
}

/// A frame that is kept.
pub(super) enum Kept {
    Data(Bytes),
    /// Boxed, so that what is needed to keep data is small.
    Trailers(Box<HeaderMap>),
}

/// What comes after all that is kept.
#[derive(Clone, Copy, PartialEq)]
enum Tail {
    /// The rest of the body.
    Body,
    /// The same, and someone is in the middle of a poll.
    Polled,
    /// Nothing: it was read to its end.
    End,
    /// It failed, or panicked.
    Failed,
}

/// Where a reader is.
#[derive(Default)]
pub(super) struct Cursor {
    /// Its number, if it has begun.
    reader: Option<u64>,
    /// How many of the kept frames it has had.
    frames: usize,
    /// How much data it has had.
    bytes: u64,
    /// What it failed with. It stays so: what it was not given would be missing.
    failed: Option<ReplayBodyError>,
}

/// What a reader does next.
pub(super) enum Next {
    Frame(Frame<Bytes>),
    End,
    /// Poll the body, then [`Tape::record`].
    Read,
    Wait,
    Fail(ReplayBodyError),
}

impl Tail {
    fn after(rest: &Rest) -> Self {
        if rest.at_end { Self::End } else { Self::Body }
    }
}

impl Cursor {
    /// Whether it may go on.
    pub(super) fn check(&self) -> Result<(), ReplayBodyError> {
        self.failed.map_or(Ok(()), Err)
    }
}

impl State {
    pub(super) fn new(max_bytes: usize, rest: Rest) -> Self {
        Self {
            kept: Vec::new(),
            kept_bytes: 0,
            max_bytes: u64::try_from(max_bytes).unwrap_or(u64::MAX),
            read: 0,
            announced: rest.hint.exact(),
            trailers: false,
            lost: false,
            tail: Tail::after(&rest),
            rest: rest.hint,
            reader: 0,
            parked: None,
            queued: None,
        }
    }

    pub(super) fn can_replay(&self) -> bool {
        !self.lost && self.tail != Tail::Failed
    }

    pub(super) fn kept_bytes(&self) -> usize {
        usize::try_from(self.kept_bytes).unwrap_or(usize::MAX)
    }

    /// What is kept, and what will be, as far as it is known.
    pub(super) fn known_bytes(&self) -> usize {
        let bytes = self.kept_bytes.saturating_add(self.rest.lower());
        usize::try_from(bytes.min(self.max_bytes)).unwrap_or(usize::MAX)
    }

    pub(super) fn size_hint(&self, cursor: &Cursor) -> SizeHint {
        if self.objection(cursor).is_some() {
            return SizeHint::default();
        }
        let kept = self.read - cursor.bytes;
        let lower = kept.saturating_add(self.rest.lower());
        let upper = self.rest.upper().and_then(|rest| rest.checked_add(kept));
        // Who is told the length does not expect trailers.
        let may_tell = self.announced.is_some() || (self.tail == Tail::End && !self.trailers);
        let mut hint = SizeHint::new();
        hint.set_lower(lower);
        if let Some(upper) = upper.filter(|upper| may_tell || *upper != lower) {
            hint.set_upper(upper);
        }
        hint
    }

    pub(super) fn is_end_stream(&self, cursor: &Cursor) -> bool {
        self.tail == Tail::End
            && self.objection(cursor).is_none()
            && self.kept.len() <= cursor.frames
    }

    /// Why this reader can't read, or can't read on.
    fn objection(&self, cursor: &Cursor) -> Option<ReplayBodyError> {
        let complete = self.tail == Tail::End && !self.lost;
        match cursor.reader {
            _ if cursor.failed.is_some() => cursor.failed,
            Some(reader) if reader != self.reader && !complete => Some(ReplayBodyError::Superseded),
            None if self.lost => Some(ReplayBodyError::NotReplayable),
            _ if self.tail == Tail::Failed => Some(ReplayBodyError::NotReplayable),
            _ => None,
        }
    }

    /// A new reader begins. Whoever has waited for the body is told.
    pub(super) fn begin(&mut self, wakes: &mut Wakes) -> u64 {
        *wakes = [self.parked.take(), self.queued.take()];
        self.reader += 1;
        self.reader
    }

    /// What comes next for this reader.
    pub(super) fn next(&mut self, cursor: &mut Cursor, wakes: &mut Wakes) -> Next {
        cursor.failed = self.objection(cursor);
        if let Some(objection) = cursor.failed {
            return Next::Fail(objection);
        }
        if cursor.reader.is_none() {
            cursor.reader = Some(self.begin(wakes));
        }
        if let Some(kept) = self.kept.get(cursor.frames) {
            cursor.frames += 1;
            return Next::Frame(match kept {
                Kept::Data(data) => {
                    cursor.bytes += data.len() as u64;
                    Frame::data(data.clone())
                }
                Kept::Trailers(trailers) => Frame::trailers((**trailers).clone()),
            });
        }
        match self.tail {
            Tail::Body => {
                self.tail = Tail::Polled;
                Next::Read
            }
            Tail::Polled => Next::Wait,
            Tail::End => Next::End,
            Tail::Failed => Next::Fail(ReplayBodyError::NotReplayable),
        }
    }

    /// The last reader waits for the end of another one's poll. Leaves what it had before.
    pub(super) fn queue(&mut self, waker: &mut Option<Waker>) {
        std::mem::swap(&mut self.queued, waker);
    }

    /// The last reader waits for the body. Leaves what it had before.
    pub(super) fn park(&mut self, waker: &mut Option<Waker>) {
        std::mem::swap(&mut self.parked, waker);
    }

    /// What a poll of the body has brought this reader, who is superseded if another one has begun
    /// meanwhile. Returns what is not kept any more.
    pub(super) fn record<E>(
        &mut self,
        cursor: &mut Cursor,
        polled: Poll<Option<Result<&Frame<Bytes>, E>>>,
        rest: Rest,
        is_only: bool,
        wakes: &mut Wakes,
    ) -> Vec<Kept> {
        wakes[0] = self.queued.take();
        let is_last = cursor.reader == Some(self.reader);
        let mut trash = Vec::new();
        self.tail = match polled {
            Poll::Pending => Tail::Body,
            Poll::Ready(Some(Ok(frame))) => {
                let tail = Tail::after(&rest);
                self.rest = rest.hint;
                trash = self.keep(frame, cursor, is_last, is_only);
                tail
            }
            Poll::Ready(Some(Err(_))) => {
                trash = self.lose();
                Tail::Failed
            }
            Poll::Ready(None) => Tail::End,
        };
        if self.tail == Tail::End {
            self.rest = SizeHint::with_exact(0);
        }
        if self.has_lied() {
            trash.append(&mut self.lose());
        }
        if !is_last {
            cursor.failed = Some(ReplayBodyError::Superseded);
        }
        trash
    }

    /// The body has panicked. Returns what is not kept any more.
    pub(super) fn abandon(&mut self, wakes: &mut Wakes) -> Vec<Kept> {
        self.tail = Tail::Failed;
        wakes[0] = self.queued.take();
        self.lose()
    }

    /// Keeps a frame that was read, unless that is too much. Returns what is not kept any more.
    fn keep(
        &mut self,
        frame: &Frame<Bytes>,
        cursor: &mut Cursor,
        is_last: bool,
        is_only: bool,
    ) -> Vec<Kept> {
        let kept = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => {
                self.read += data.len() as u64;
                cursor.bytes += data.len() as u64;
                Some((Kept::Data(data.clone()), data.len() as u64))
            }
            (None, Some(trailers)) => {
                self.trailers = true;
                let size = |(name, value): (&HeaderName, &HeaderValue)| {
                    (name.as_str().len() + value.len()) as u64
                };
                let size = trailers.iter().map(size).sum();
                Some((Kept::Trailers(Box::new(trailers.clone())), size))
            }
            (None, None) => None, // a kind of frame that is not known here
        };
        if self.lost {
            return Vec::new();
        }
        if let Some((kept, size)) = kept {
            let bytes = self.kept_bytes.saturating_add(size);
            let fits = bytes.saturating_add(self.rest.lower()) <= self.max_bytes;
            // If another reader has begun, it counts on what this one has read.
            if !is_last || (fits && !is_only) {
                self.kept_bytes = bytes;
                let says_nothing = matches!(&kept, Kept::Data(data) if data.is_empty());
                if !says_nothing {
                    self.kept.push(kept);
                    cursor.frames += 1;
                }
                return Vec::new();
            }
        }
        self.lose()
    }

    /// It is longer or shorter than it has said. A replay would say another length, with which part of a
    /// body may pass for a whole one.
    fn has_lied(&self) -> bool {
        self.announced.is_some_and(|length| match self.tail {
            Tail::End => self.read != length,
            _ => self.read > length,
        })
    }

    /// What was read first is not kept any more. Returns all that was.
    fn lose(&mut self) -> Vec<Kept> {
        self.lost = true;
        self.kept_bytes = 0;
        std::mem::take(&mut self.kept)
    }
}
