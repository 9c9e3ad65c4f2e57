use std::collections::VecDeque;
use std::fmt;
use std::future::{pending, poll_fn, ready};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::oneshot;
use tower::Service;
use tower_conn_retry::{BoxError, ConnectError, Reconnect};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) &'static str);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Fault {
    /// What "reset" is about.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        static RESET: LazyLock<io::Error> = LazyLock::new(|| io::ErrorKind::ConnectionReset.into());
        (self.0 == "reset").then_some(&*RESET)
    }
}

/// Connects when the test says so. Not `Clone`.
pub(crate) struct Maker(Arc<Mutex<VecDeque<Begun>>>);

pub(crate) type Begun = oneshot::Sender<Result<Conn, Fault>>;

/// The attempts that were begun, as the test sees them.
#[derive(Clone)]
pub(crate) struct Attempts(Arc<Mutex<VecDeque<Begun>>>);

pub(crate) fn reconnect() -> (Reconnect<Maker>, Attempts) {
    let begun = Arc::default();
    (Reconnect::new(Maker(Arc::clone(&begun))), Attempts(begun))
}

impl Attempts {
    pub(crate) fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub(crate) fn next(&self) -> Begun {
        self.0
            .lock()
            .unwrap()
            .pop_front()
            .expect("no attempt was begun")
    }
}

impl Service<()> for Maker {
    type Response = Conn;
    type Error = Fault;
    type Future = Connecting;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: ()) -> Connecting {
        let (begun, connecting) = oneshot::channel();
        self.0.lock().unwrap().push_back(begun);
        Connecting(connecting)
    }
}

pub(crate) struct Connecting(oneshot::Receiver<Result<Conn, Fault>>);

impl Future for Connecting {
    type Output = Result<Conn, Fault>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // Dropping the sender stands for a connect future that panics.
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|r| r.expect("panicked on purpose"))
    }
}

/// Answers with its own number.
#[derive(Clone)]
pub(crate) struct Conn {
    pub(crate) number: usize,
    pub(crate) calls: Arc<Mutex<Vec<&'static str>>>,
    pub(crate) state: Arc<ConnState>,
}

#[derive(Default)]
pub(crate) struct ConnState {
    pub(crate) dead: AtomicBool,
    pub(crate) busy: AtomicBool,
    pub(crate) waker: Mutex<Option<Waker>>,
}

impl Conn {
    pub(crate) fn new(number: usize) -> Self {
        Self {
            number,
            calls: Arc::default(),
            state: Arc::default(),
        }
    }

    pub(crate) fn dead(self) -> Self {
        self.die();
        self
    }

    pub(crate) fn die(&self) {
        self.state.dead.store(true, Ordering::SeqCst);
    }

    pub(crate) fn set_busy(&self, busy: bool) {
        self.state.busy.store(busy, Ordering::SeqCst);
        if let Some(waker) = self.state.waker.lock().unwrap().take() {
            waker.wake();
        }
    }
}

impl Service<&'static str> for Conn {
    type Response = usize;
    type Error = Fault;
    type Future = Pin<Box<dyn Future<Output = Result<usize, Fault>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.state.dead.load(Ordering::SeqCst) {
            return Poll::Ready(Err(Fault("dead")));
        }
        if self.state.busy.load(Ordering::SeqCst) {
            *self.state.waker.lock().unwrap() = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: &'static str) -> Self::Future {
        self.calls.lock().unwrap().push(request);
        match request {
            "fail" => Box::pin(ready(Err(Fault("failed")))),
            "hang" => Box::pin(pending()),
            // To be polled by hand.
            "break" => {
                let state = Arc::clone(&self.state);
                Box::pin(poll_fn(move |_| match state.dead.load(Ordering::SeqCst) {
                    true => Poll::Ready(Err(Fault("reset"))),
                    false => Poll::Pending,
                }))
            }
            _ => Box::pin(ready(Ok(self.number))),
        }
    }
}

/// A future that is polled by hand, and what woke it.
pub(crate) struct Task<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            wakes: Arc::default(),
        }
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.wakes.0.store(0, Ordering::SeqCst);
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    pub(crate) fn is_pending(&mut self) -> bool {
        self.poll().is_pending()
    }

    /// Since it was last polled.
    pub(crate) fn is_woken(&self) -> bool {
        self.wakes.0.load(Ordering::SeqCst) > 0
    }
}

impl<F: Future<Output = Result<usize, BoxError>>> Task<F> {
    #[track_caller]
    pub(crate) fn answer(&mut self) -> usize {
        match self.poll() {
            Poll::Ready(Ok(number)) => number,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn error(&mut self) -> BoxError {
        match self.poll() {
            Poll::Ready(Err(error)) => error,
            other => panic!("{other:?}"),
        }
    }
}

/// The fault of a failed attempt, as everybody who waited gets it.
#[track_caller]
pub(crate) fn connect_fault(error: &BoxError) -> Fault {
    let error = error
        .downcast_ref::<ConnectError>()
        .expect("a ConnectError");
    let shared = std::error::Error::source(error)
        .and_then(|e| e.downcast_ref::<Arc<dyn std::error::Error + Send + Sync>>())
        .expect("a shared error");
    shared.downcast_ref::<Fault>().expect("a Fault").clone()
}
