//! The tasks of one HTTP/2 connection, one at a time.
//!
//! hyper (looked at: 1.12, `proto/h2/client.rs`) has a task that takes the requests and another that
//! reads the socket. The first gives a request to h2, and then asks h2 whether there is room for
//! the next one. If the other task reads a GOAWAY in between, on another thread, the answer is an
//! error, and hyper says that it is the *request's*, whatever the GOAWAY's last stream is, though
//! h2 goes on to send it. Where the two never run at the same time this can't happen, and an error
//! that says GOAWAY is always the stream's own.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// A connection's lock.
#[derive(Clone, Default)]
pub(super) struct Serial(Arc<Mutex<()>>);

thread_local! {
    /// The connection one of whose tasks this thread polls.
    static CURRENT: RefCell<Option<Serial>> = const { RefCell::new(None) };
}

impl Serial {
    /// What is spawned while this thread polls such a task belongs to the same connection.
    pub(super) fn current() -> Option<Self> {
        CURRENT.with_borrow(Clone::clone)
    }

    /// The future as one of the connection's.
    pub(super) fn run<F>(self, future: F) -> Run<F> {
        Run {
            future,
            serial: self,
        }
    }

    fn is_current(&self) -> bool {
        CURRENT.with_borrow(|current| {
            let current = current.as_ref();
            current.is_some_and(|current| Arc::ptr_eq(&current.0, &self.0))
        })
    }

    fn hold<T>(&self, poll: impl FnOnce() -> T) -> T {
        if self.is_current() {
            // An executor that polls a task where it is spawned.
            return poll();
        }
        let _lock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _former = Former(CURRENT.replace(Some(self.clone())));
        poll()
    }
}

/// Puts back what was current before, after a panic too.
struct Former(Option<Serial>);

impl Drop for Former {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

pin_project! {
    pub(super) struct Run<F> {
        #[pin]
        future: F,
        serial: Serial,
    }
}

impl<F: Future> Future for Run<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.serial.hold(|| this.future.poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use hyper::rt::Executor as _;

    use super::super::Executor;
    use super::*;

    #[derive(Default)]
    struct Seen {
        busy: AtomicBool,
        overlaps: AtomicUsize,
        done: AtomicUsize,
    }

    impl Seen {
        /// Yields often, and looks whether it is alone.
        async fn task(self: Arc<Self>) {
            for _ in 0..200 {
                if self.busy.swap(true, Ordering::SeqCst) {
                    self.overlaps.fetch_add(1, Ordering::SeqCst);
                }
                for _ in 0..2_000 {
                    std::hint::spin_loop();
                }
                self.busy.store(false, Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn what_a_task_spawns_runs_when_no_other_of_its_connection_does() {
        let (seen, executor) = (Arc::<Seen>::default(), Executor::default());
        let (spawned, spawns) = (seen.clone(), executor.clone());
        let handshake = async move {
            spawns.execute(spawned.clone().task());
            let (inner, again) = (spawned.clone(), spawns.clone());
            spawns.execute(async move {
                again.execute(inner.clone().task());
                inner.task().await;
            });
        };
        let serial = Serial::default();
        serial.clone().run(handshake).await;
        assert!(Serial::current().is_none());
        executor.spawn(serial.run(seen.clone().task()));
        while seen.done.load(Ordering::SeqCst) < 4 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(seen.overlaps.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn an_executor_may_poll_where_it_spawns() {
        let serial = Serial::default();
        let inner = serial.clone();
        let outer = serial.clone().run(async move {
            inner.run(async {}).await;
            assert!(Serial::current().is_some());
        });
        outer.await;
        assert!(Serial::current().is_none());
    }

    #[tokio::test]
    async fn connections_do_not_wait_for_each_other() {
        let other = Serial::default();
        let nested = Serial::default().run(async {
            other.clone().run(async {}).await;
            Serial::current().is_some_and(|current| !Arc::ptr_eq(&current.0, &other.0))
        });
        assert!(nested.await);
    }
}
