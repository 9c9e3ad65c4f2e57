use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// A queue from many handles to one task, which takes all that is there at once: so a burst costs
/// one wake-up and, at the task's end, one lock. Not bounded; permits bound it.
pub(super) fn queue<T>() -> (Sender<T>, Receiver<T>) {
    let state = State {
        jobs: VecDeque::new(),
        idle: None,
        over: false,
    };
    let shared = Arc::new(Mutex::new(state));
    let receiver = Receiver {
        shared: Arc::clone(&shared),
        taken: VecDeque::new(),
    };
    (Sender(shared), receiver)
}

/// The handles' end. There is one, which they share.
pub(super) struct Sender<T>(Arc<Mutex<State<T>>>);

/// The task's end.
pub(super) struct Receiver<T> {
    shared: Arc<Mutex<State<T>>>,
    taken: VecDeque<T>,
}

struct State<T> {
    jobs: VecDeque<T>,
    /// The task, if it found nothing when it last looked.
    idle: Option<Waker>,
    /// One of the ends has gone.
    over: bool,
}

impl<T> Sender<T> {
    /// Hands the job back if nobody will take it.
    #[inline(always)]
    pub(super) fn push(&self, job: T) -> Result<(), T> {
        let mut state = lock(&self.0);
        if state.over {
            return Err(job);
        }
        state.jobs.push_back(job);
        let idle = state.idle.take();
        drop(state);
        idle.into_iter().for_each(Waker::wake);
        Ok(())
    }
}

impl<T> Sender<T> {
    /// Has the task look around.
    pub(super) fn nudge(&self) {
        let idle = lock(&self.0).idle.take();
        idle.into_iter().for_each(Waker::wake);
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = lock(&self.0);
        state.over = true;
        let idle = state.idle.take();
        drop(state);
        idle.into_iter().for_each(Waker::wake);
    }
}

impl<T> Receiver<T> {
    /// The next job. `None` when there are no handles any more.
    #[inline]
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(job) = self.taken.pop_front() {
            return Poll::Ready(Some(job));
        }
        let mut state = lock(&self.shared);
        if state.jobs.is_empty() {
            if state.over {
                return Poll::Ready(None);
            }
            let former = state.idle.replace(cx.waker().clone());
            drop(state);
            // Foreign code: not under the lock.
            drop(former);
            return Poll::Pending;
        }
        std::mem::swap(&mut self.taken, &mut state.jobs);
        drop(state);
        Poll::Ready(self.taken.pop_front())
    }

    /// Takes no more, and hands out what was left, oldest first.
    pub(super) fn close(&mut self) -> impl Iterator<Item = T> {
        let mut state = lock(&self.shared);
        state.over = true;
        let rest = std::mem::take(&mut state.jobs);
        let idle = state.idle.take();
        drop(state);
        drop(idle);
        std::mem::take(&mut self.taken).into_iter().chain(rest)
    }
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    impl Wakes {
        fn count(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    #[test]
    fn a_burst_is_one_wake_up_and_comes_in_order() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let cx = &mut Context::from_waker(&waker);
        let (sender, mut receiver) = queue();
        for round in 1..=3 {
            assert_eq!(receiver.poll_next(cx), Poll::Pending);
            for n in 0..10 {
                sender.push(n).unwrap();
            }
            assert_eq!(wakes.count(), round);
            for n in 0..5 {
                assert_eq!(receiver.poll_next(cx), Poll::Ready(Some(n)));
            }
            // Comes after what was taken before it.
            sender.push(10).unwrap();
            for n in 5..=10 {
                assert_eq!(receiver.poll_next(cx), Poll::Ready(Some(n)));
            }
        }
    }

    #[test]
    fn the_end_of_the_handles_comes_after_their_last_job_and_wakes() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let cx = &mut Context::from_waker(&waker);
        let (sender, mut receiver) = queue();
        sender.push(1).unwrap();
        assert_eq!(receiver.poll_next(cx), Poll::Ready(Some(1)));
        assert_eq!(receiver.poll_next(cx), Poll::Pending);
        drop(sender);
        assert_eq!(wakes.count(), 1);
        assert_eq!(receiver.poll_next(cx), Poll::Ready(None));
    }

    #[test]
    fn a_closed_queue_hands_back_what_it_had_and_what_comes() {
        let cx = &mut Context::from_waker(Waker::noop());
        let (sender, mut receiver) = queue();
        for n in 0..3 {
            sender.push(n).unwrap();
        }
        assert_eq!(receiver.poll_next(cx), Poll::Ready(Some(0)));
        sender.push(3).unwrap();
        assert_eq!(receiver.close().collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(sender.push(4), Err(4));
    }
}
