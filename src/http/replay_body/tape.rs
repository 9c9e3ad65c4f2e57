use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::ReplayBodyError;
use super::state::{Cursor, Next, Rest, State, Wakes};

/// What was read of a body, and who may read on.
///
/// The body itself is elsewhere. Whoever gets [`Next::Read`] has it for one poll, and says what came
/// of that in [`Tape::record`]. No lock is held meanwhile, nor while a waker is used.
pub(super) struct Tape(Mutex<State>);

impl Tape {
    pub(super) fn new(max_bytes: usize, rest: Rest) -> Self {
        Self(Mutex::new(State::new(max_bytes, rest)))
    }

    /// What comes next for this reader.
    pub(super) fn next(&self, cursor: &mut Cursor, cx: &mut Context<'_>) -> Next {
        let next = self.change(|state, wakes| state.next(cursor, wakes));
        if !matches!(next, Next::Wait) {
            return next;
        }
        let mut waker = Some(cx.waker().clone());
        let next = self.change(|state, wakes| {
            let next = state.next(cursor, wakes);
            if let Next::Wait = next {
                state.queue(&mut waker);
            }
            next
        });
        drop(waker); // what it has replaced, perhaps
        next
    }

    /// What a poll of the body has brought, after [`Next::Read`], and what the body says about the
    /// rest. Nobody else can read it if this is the only reader.
    pub(super) fn record<E>(
        &self,
        cursor: &mut Cursor,
        polled: Poll<Option<Result<&Frame<Bytes>, E>>>,
        rest: Rest,
        is_only: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), ReplayBodyError> {
        let mut waker = polled.is_pending().then(|| cx.waker().clone());
        let mut trash = Vec::new();
        let result = self.change(|state, wakes| {
            trash = state.record(cursor, polled, rest, is_only, wakes);
            cursor.check()?;
            if waker.is_some() {
                state.park(&mut waker);
            }
            Ok(())
        });
        drop((waker, trash));
        result
    }

    /// The poll of the body has panicked.
    pub(super) fn abandon(&self) {
        let trash = self.change(State::abandon);
        drop(trash);
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
        self.lock().kept_bytes()
    }

    /// The same, and what will be kept, as far as it is known.
    pub(super) fn known_bytes(&self) -> usize {
        self.lock().known_bytes()
    }

    pub(super) fn size_hint(&self, cursor: &Cursor) -> SizeHint {
        self.lock().size_hint(cursor)
    }

    pub(super) fn is_end_stream(&self, cursor: &Cursor) -> bool {
        self.lock().is_end_stream(cursor)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, then wakes without the lock.
    fn change<T>(&self, f: impl FnOnce(&mut State, &mut Wakes) -> T) -> T {
        let mut wakes = [None, None];
        let result = f(&mut self.lock(), &mut wakes);
        wakes.into_iter().flatten().for_each(Waker::wake);
        result
    }
}
