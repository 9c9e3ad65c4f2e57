use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};

use super::ReplayBodyError;

/// What was read of a body, and who may read on.
///
/// The body itself is elsewhere. Whoever gets [`Next::Read`] has it for one poll, and says what came
/// of that in [`Tape::record`]; no lock is held meanwhile.
pub(super) struct Tape(Mutex<State>);

struct State {
    kept: Vec<Kept>,
    /// The data and trailers in it.
    kept_bytes: u64,
    max_bytes: u64,
    /// All data that was read, kept or not.
    read: u64,
    /// What the body says about the rest.
    rest: SizeHint,
    /// The length was known from the start, and the peer may have been told.
    sized: bool,
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

enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
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

impl Tape {
    /// For a body that says this about itself.
    pub(super) fn new(max_bytes: usize, rest: SizeHint, at_end: bool) -> Self {
        let sized = rest.exact().is_some();
        Self(Mutex::new(State {
            kept: Vec::new(),
            kept_bytes: 0,
            max_bytes: u64::try_from(max_bytes).unwrap_or(u64::MAX),
            read: 0,
            rest,
            sized,
            trailers: false,
            lost: false,
            tail: if at_end { Tail::End } else { Tail::Body },
            reader: 0,
            parked: None,
            queued: None,
        }))
    }

    /// What comes next for this reader.
    pub(super) fn next(&self, cursor: &mut Cursor, cx: &mut Context<'_>) -> Next {
        let next = self.change(|state, wakes| state.next(cursor, wakes));
        if !matches!(next, Next::Wait) {
            return next;
        }
        let waker = cx.waker().clone(); // not under the lock: it can run anything
        let mut old = None;
        let next = self.change(|state, wakes| {
            let next = state.next(cursor, wakes);
            if let Next::Wait = next {
                old = state.queued.replace(waker);
            }
            next
        });
        drop(old);
        next
    }

    /// What a poll of the body has brought, after [`Next::Read`], and what the body says about the
    /// rest.
    pub(super) fn record<E>(
        &self,
        cursor: &mut Cursor,
        polled: Poll<Option<Result<&Frame<Bytes>, E>>>,
        rest: SizeHint,
        at_end: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), ReplayBodyError> {
        let mut waker = polled.is_pending().then(|| cx.waker().clone());
        let mut trash = Vec::new();
        let result = self.change(|state, wakes| {
            wakes[0] = state.queued.take();
            let is_last = cursor.reader == Some(state.reader);
            state.tail = match polled {
                Poll::Pending => Tail::Body,
                Poll::Ready(Some(Ok(frame))) => {
                    state.rest = rest;
                    trash = state.keep(frame, cursor, is_last);
                    if at_end { Tail::End } else { Tail::Body }
                }
                Poll::Ready(Some(Err(_))) => Tail::Failed,
                Poll::Ready(None) => Tail::End,
            };
            if state.tail == Tail::End {
                state.rest = SizeHint::with_exact(0);
            }
            if !is_last {
                cursor.failed = Some(ReplayBodyError::Superseded);
                return Err(ReplayBodyError::Superseded);
            }
            if waker.is_some() {
                std::mem::swap(&mut state.parked, &mut waker);
            }
            Ok(())
        });
        drop((waker, trash));
        result
    }

    /// The poll of the body has panicked.
    pub(super) fn abandon(&self) {
        self.change(|state, wakes| {
            state.tail = Tail::Failed;
            wakes[0] = state.queued.take();
        });
    }

    /// Whether a new reader can read the whole body.
    pub(super) fn can_replay(&self) -> bool {
        self.lock().can_replay()
    }

    /// The same, and if so, it stays so: none of the readers until now reads on.
    pub(super) fn claim(&self) -> bool {
        self.change(|state, wakes| {
            let can_replay = state.can_replay();
            if can_replay {
                state.begin(wakes);
            }
            can_replay
        })
    }

    /// How much is kept.
    pub(super) fn kept_bytes(&self) -> usize {
        usize::try_from(self.lock().kept_bytes).unwrap_or(usize::MAX)
    }

    pub(super) fn size_hint(&self, cursor: &Cursor) -> SizeHint {
        let state = self.lock();
        if state.objection(cursor).is_some() {
            return SizeHint::default();
        }
        let kept = state.read - cursor.bytes;
        let lower = kept.saturating_add(state.rest.lower());
        let upper = state.rest.upper().and_then(|rest| rest.checked_add(kept));
        // Who is told the length does not expect trailers.
        let may_tell = state.sized || (state.tail == Tail::End && !state.trailers);
        let mut hint = SizeHint::new();
        hint.set_lower(lower);
        if let Some(upper) = upper.filter(|upper| may_tell || *upper != lower) {
            hint.set_upper(upper);
        }
        hint
    }

    pub(super) fn is_end_stream(&self, cursor: &Cursor) -> bool {
        let state = self.lock();
        state.tail == Tail::End
            && state.objection(cursor).is_none()
            && state.kept.len() <= cursor.frames
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes without the lock.
    fn change<T>(&self, f: impl FnOnce(&mut State, &mut [Option<Waker>; 2]) -> T) -> T {
        let mut wakes = [None, None];
        let result = f(&mut self.lock(), &mut wakes);
        wakes.into_iter().flatten().for_each(Waker::wake);
        result
    }
}

impl State {
    fn can_replay(&self) -> bool {
        !self.lost && self.tail != Tail::Failed
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
    fn begin(&mut self, wakes: &mut [Option<Waker>; 2]) -> u64 {
        *wakes = [self.parked.take(), self.queued.take()];
        self.reader += 1;
        self.reader
    }

    fn next(&mut self, cursor: &mut Cursor, wakes: &mut [Option<Waker>; 2]) -> Next {
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
                Kept::Trailers(trailers) => Frame::trailers(trailers.clone()),
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

    /// Keeps a frame that was read, unless that is too much. Returns what is not kept any more.
    fn keep(&mut self, frame: &Frame<Bytes>, cursor: &mut Cursor, is_last: bool) -> Vec<Kept> {
        let kept = match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => {
                self.read += data.len() as u64;
                cursor.bytes += data.len() as u64;
                Some((Kept::Data(data.clone()), data.len() as u64))
            }
            (None, Some(trailers)) => {
                self.trailers = true;
                let size = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                    (name.as_str().len() + value.len()) as u64
                };
                let size = trailers.iter().map(size).sum();
                Some((Kept::Trailers(trailers.clone()), size))
            }
            (None, None) => None, // a kind of frame that is not known here
        };
        if self.lost {
            return Vec::new();
        }
        if let Some((kept, size)) = kept {
            let bytes = self.kept_bytes.saturating_add(size);
            // If another reader has begun, it counts on what this one has read.
            if !is_last || bytes.saturating_add(self.rest.lower()) <= self.max_bytes {
                self.kept_bytes = bytes;
                let says_nothing = matches!(&kept, Kept::Data(data) if data.is_empty());
                if !says_nothing {
                    self.kept.push(kept);
                    cursor.frames += 1;
                }
                return Vec::new();
            }
        }
        self.lost = true;
        self.kept_bytes = 0;
        std::mem::take(&mut self.kept)
    }
}
