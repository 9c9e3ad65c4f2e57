use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::error::Error;

/// Where the task puts the end of one request.
///
/// Not tokio's `oneshot`, because that takes part in the cooperative budget: a task that waits for
/// many requests would be interrupted after 128 answers that are there, and so would cut what goes
/// out into small writes.
pub(super) struct Slot<Res>(Option<Arc<Shared<Res>>>);

/// Where the caller finds it.
pub(super) struct Answer<Res>(Option<Arc<Shared<Res>>>);

struct Shared<Res> {
    abandoned: AtomicBool,
    state: Mutex<State<Res>>,
}

enum State<Res> {
    /// With the caller's waker, and with that of the task once it waits for the caller to go.
    Open {
        caller: Option<Waker>,
        task: Option<Waker>,
    },
    Finished(Result<Res, Error>),
    /// The task has gone without a word.
    Torn,
}

#[inline]
pub(super) fn slot<Res>() -> (Slot<Res>, Answer<Res>) {
    let open = State::Open {
        caller: None,
        task: None,
    };
    let shared = Arc::new(Shared {
        abandoned: AtomicBool::new(false),
        state: Mutex::new(open),
    });
    (Slot(Some(Arc::clone(&shared))), Answer(Some(shared)))
}

impl<Res> Shared<Res> {
    fn lock(&self) -> MutexGuard<'_, State<Res>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go before the caller is woken, so that it finds the end unshared.
    #[inline]
    fn end(self: Arc<Self>, end: State<Res>) {
        let mut state = self.lock();
        let former = match &mut *state {
            State::Open { caller, task } => (caller.take(), task.take()),
            _ => (None, None),
        };
        *state = end;
        drop(state);
        drop(self);
        let (caller, _task) = former;
        if let Some(caller) = caller {
            caller.wake();
        }
    }
}

impl<Res> Slot<Res> {
    /// [`finish`](Self::finish) for the usual case, which is worth a copy of the code of its own.
    #[inline(always)]
    pub(super) fn answer(mut self, answer: Res) {
        if let Some(shared) = self.0.take() {
            shared.end(State::Finished(Ok(answer)));
        }
    }

    /// The caller may have gone; then nobody hears it.
    pub(super) fn finish(mut self, result: Result<Res, Error>) {
        if let Some(shared) = self.0.take() {
            shared.end(State::Finished(result));
        }
    }

    /// The caller has gone.
    #[inline]
    pub(super) fn is_abandoned(&self) -> bool {
        let abandoned = |shared: &Arc<Shared<Res>>| shared.abandoned.load(Ordering::Acquire);
        self.0.as_ref().is_none_or(abandoned)
    }

    /// Waits until the caller has gone.
    pub(super) fn poll_abandoned(&self, cx: &mut Context<'_>) -> Poll<()> {
        let former = self
            .0
            .as_ref()
            .and_then(|shared| match &mut *shared.lock() {
                State::Open { task, .. } => task.replace(cx.waker().clone()),
                _ => None,
            });
        drop(former);
        // After the waker is there: who goes now wakes it.
        match self.is_abandoned() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl<Res> Drop for Slot<Res> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            shared.end(State::Torn);
        }
    }
}

impl<Res> Answer<Res> {
    /// Ready with `None` if the task has gone without a word, or when it was ready before.
    #[inline]
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Res, Error>>> {
        // The usual end: the task has let go, and nobody else can see it.
        if let Some(shared) = self.0.take_if(|shared| Arc::strong_count(shared) == 1) {
            let state = Arc::into_inner(shared).map(|shared| shared.state.into_inner());
            let state = state.map(|state| state.unwrap_or_else(PoisonError::into_inner));
            return Poll::Ready(match state {
                Some(State::Finished(result)) => Some(result),
                _ => None,
            });
        }
        let Some(shared) = &self.0 else {
            return Poll::Ready(None);
        };
        let mut state = shared.lock();
        let former = match &mut *state {
            State::Open { caller, .. } => {
                let known = caller.as_ref().is_some_and(|w| w.will_wake(cx.waker()));
                match known {
                    true => None,
                    false => caller.replace(cx.waker().clone()),
                }
            }
            _ => {
                let end = std::mem::replace(&mut *state, State::Torn);
                drop(state);
                self.0 = None;
                return Poll::Ready(match end {
                    State::Finished(result) => Some(result),
                    _ => None,
                });
            }
        };
        drop(state);
        // Foreign code: not under the lock.
        drop(former);
        Poll::Pending
    }
}

impl<Res> Drop for Answer<Res> {
    fn drop(&mut self) {
        let Some(shared) = self.0.take() else {
            return;
        };
        shared.abandoned.store(true, Ordering::Release);
        let former = std::mem::replace(&mut *shared.lock(), State::Torn);
        if let State::Open {
            task: Some(task), ..
        } = former
        {
            task.wake();
        }
    }
}

impl<Res> fmt::Debug for Answer<Res> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Answer").finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn waker() -> (Arc<Wakes>, Waker) {
        let wakes = Arc::new(Wakes::default());
        (Arc::clone(&wakes), Waker::from(wakes))
    }

    fn poll(answer: &mut Answer<u32>, waker: &Waker) -> Option<Option<u32>> {
        match answer.poll(&mut Context::from_waker(waker)) {
            Poll::Ready(end) => Some(end.map(Result::unwrap)),
            Poll::Pending => None,
        }
    }

    #[test]
    fn an_answer_wakes_whoever_polled_last() {
        let ((first, a), (last, b)) = (waker(), waker());
        let (slot, mut answer) = slot();
        assert_eq!(poll(&mut answer, &a), None);
        assert_eq!(poll(&mut answer, &b), None);
        slot.finish(Ok(7));
        assert_eq!(
            (
                first.0.load(Ordering::SeqCst),
                last.0.load(Ordering::SeqCst)
            ),
            (0, 1)
        );
        assert_eq!(poll(&mut answer, &a), Some(Some(7)));
        assert_eq!(poll(&mut answer, &a), Some(None));
    }

    #[test]
    fn an_answer_that_came_before_the_first_poll_is_there() {
        let (slot, mut answer) = slot();
        slot.finish(Ok(7));
        assert_eq!(poll(&mut answer, Waker::noop()), Some(Some(7)));
    }

    #[test]
    fn a_slot_that_is_dropped_leaves_nobody_waiting() {
        let (wakes, waker) = waker();
        let (slot, mut answer) = slot();
        assert_eq!(poll(&mut answer, &waker), None);
        drop(slot);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert_eq!(poll(&mut answer, &waker), Some(None));
    }

    #[test]
    fn a_caller_that_goes_wakes_the_task_that_waits_for_it() {
        let (wakes, waker) = waker();
        let (slot, answer) = slot::<u32>();
        assert!(!slot.is_abandoned());
        let cx = &mut Context::from_waker(&waker);
        assert!(slot.poll_abandoned(cx).is_pending());
        drop(answer);
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(slot.is_abandoned());
        assert!(slot.poll_abandoned(cx).is_ready());
        slot.finish(Ok(7));
    }

    #[test]
    fn what_was_finished_and_not_taken_is_dropped_with_the_caller() {
        let held = Arc::new(());
        let (slot, answer) = slot();
        slot.finish(Ok(Arc::clone(&held)));
        drop(answer);
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
