//! Rule 1: up costs almost nothing. A binary of its own, for its allocator.

#![allow(missing_docs, unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::io;
use std::marker::PhantomPinned;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tower::{Layer, Service};
use tower_conn_retry::{ConnRetry, Destination, Error, Replayable, ResponseFuture, RetryOnConnErr};

/// Counts the allocations of each thread, so that tests don't disturb each other.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that is being taken down has no counter any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: all is done by `System`; the counter does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        unsafe { System.realloc(ptr, layout, size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations that makes.
fn allocations(what: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.get();
    what();
    ALLOCATIONS.get() - before
}

/// Answers with the request, at the first poll or at the second.
struct Echo {
    clones: Arc<AtomicUsize>,
    at_once: bool,
}

impl Echo {
    fn new() -> Self {
        let clones = Arc::default();
        let at_once = true;
        Self { clones, at_once }
    }

    fn later() -> Self {
        let at_once = false;
        Self {
            at_once,
            ..Self::new()
        }
    }
}

impl Clone for Echo {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        let (clones, at_once) = (self.clones.clone(), self.at_once);
        Self { clones, at_once }
    }
}

impl<Req> Service<Req> for Echo {
    type Response = Req;
    type Error = io::Error;
    type Future = Answer<Req>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> Self::Future {
        let (answer, now) = (Some(request), self.at_once);
        Answer { answer, now }
    }
}

struct Answer<Req> {
    answer: Option<Req>,
    now: bool,
}

impl<Req> Unpin for Answer<Req> {}

impl<Req> Future for Answer<Req> {
    type Output = io::Result<Req>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if !std::mem::replace(&mut self.now, true) {
            return Poll::Pending;
        }
        let answer = self.answer.take();
        Poll::Ready(answer.ok_or(io::ErrorKind::NotConnected.into()))
    }
}

/// One call, from readiness to the end of its future.
fn call<S, Req>(service: &mut S, request: Req)
where
    S: Service<Req>,
    S::Error: std::fmt::Debug,
{
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(service.poll_ready(cx).is_ready());
    let mut future = pin!(service.call(request));
    loop {
        if let Poll::Ready(answer) = future.as_mut().poll(cx) {
            answer.expect("an answer");
            return;
        }
    }
}

/// A request that says how often it was asked for its destination.
struct Asked {
    asked: Arc<AtomicUsize>,
}

impl Replayable for Asked {
    fn try_clone(&self) -> Option<Self> {
        let asked = self.asked.clone();
        Some(Self { asked })
    }

    fn destination(&self) -> Destination {
        self.asked.fetch_add(1, Ordering::Relaxed);
        Destination::new("somewhere")
    }
}

/// The same with a hash of its own.
struct Hashed(Asked);

impl Replayable for Hashed {
    fn try_clone(&self) -> Option<Self> {
        self.0.try_clone().map(Self)
    }

    fn destination(&self) -> Destination {
        self.0.destination()
    }

    fn destination_hash(&self) -> u64 {
        17
    }
}

/// A request that can't be copied.
struct Once;

impl Replayable for Once {
    fn try_clone(&self) -> Option<Self> {
        None
    }
}

#[test]
fn a_call_allocates_nothing_and_clones_no_service() {
    let echo = Echo::new();
    let clones = echo.clones.clone();
    let mut service = RetryOnConnErr.layer(echo);
    clones.store(0, Ordering::Relaxed);
    let calls = || (0..1000).for_each(|number: u64| call(&mut service, number));
    assert_eq!(allocations(calls), 0);
    assert_eq!(clones.load(Ordering::Relaxed), 0);
}

#[test]
fn a_call_needs_no_runtime() {
    assert!(tokio::runtime::Handle::try_current().is_err());
    call(&mut RetryOnConnErr.layer(Echo::new()), 7u64);
}

#[test]
fn an_attempt_that_has_to_wait_costs_one_timer() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _context = runtime.enter();
    let cost = |layer: RetryOnConnErr| {
        let mut service = layer.layer(Echo::later());
        call(&mut service, 7u64); // the timer's wheel may grow
        allocations(|| call(&mut service, 7u64))
    };
    assert_eq!(cost(RetryOnConnErr::new()), 1);
    let timeout = Duration::from_secs(1);
    assert_eq!(cost(RetryOnConnErr::new().attempt_timeout(timeout)), 1);
    let unlimited = RetryOnConnErr::new().never_give_up();
    assert_eq!(cost(unlimited.clone()), 0, "nothing to wait for");
    assert_eq!(cost(unlimited.attempt_timeout(timeout)), 1);
}

#[test]
fn a_request_that_cant_be_copied_costs_two_allocations() {
    let mut service = RetryOnConnErr.layer(Echo::new());
    assert_eq!(allocations(|| call(&mut service, Once)), 2);
}

#[test]
fn a_success_asks_for_the_hash_of_the_destination_only() {
    let asked = Arc::new(AtomicUsize::new(0));
    let request = || {
        let asked = asked.clone();
        Asked { asked }
    };
    let mut service = RetryOnConnErr.layer(Echo::new());
    (0..10).for_each(|_| call(&mut service, Hashed(request())));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    // The default of `destination_hash` is computed from the name, once for each success.
    (0..10).for_each(|_| call(&mut service, request()));
    assert_eq!(asked.load(Ordering::Relaxed), 10);
}

#[cfg(feature = "http")]
#[test]
fn an_http_request_costs_the_allocations_of_its_copy() {
    use bytes::Bytes;
    use http::Request;
    use http_body_util::Full;

    fn check<B: Clone>(body: B) {
        let request = Request::put("http://robot.example:8080/rooms/7")
            .header("content-type", "application/json")
            .header("authorization", "Bearer 0123456789abcdef")
            .body(body)
            .unwrap();
        let copy = request.clone();
        let of_the_copy = allocations(|| drop(request.clone()));
        let mut service = RetryOnConnErr.layer(Echo::new());
        assert_eq!(allocations(|| call(&mut service, copy)), of_the_copy);
        assert!(of_the_copy > 0, "headers are copied");
    }

    check(());
    check(Full::new(Bytes::from_static(b"here")));
}

/// What one would write by hand: the attempt, the layer's state, and the copy of the request.
#[allow(dead_code)]
struct ByHand<F, Req> {
    attempt: F,
    state: Arc<()>,
    copy: Req,
}

type Future1<S, Req> = <ConnRetry<S> as Service<Req>>::Future;

#[test]
fn the_future_is_at_most_twice_as_large_as_by_hand() {
    fn check<S, Req>()
    where
        S: Service<Req, Error = io::Error> + Clone,
        Req: Replayable,
    {
        let by_hand = size_of::<ByHand<S::Future, Req>>();
        let ours = size_of::<Future1<S, Req>>();
        println!(
            "{ours} bytes, by hand {by_hand}: {}",
            std::any::type_name::<Req>()
        );
        assert!(ours <= 2 * by_hand, "{ours} bytes, by hand {by_hand}");
    }

    check::<Echo, u64>();
    check::<Boxed, u64>();
    check::<Boxed, Vec<u8>>();
    #[cfg(feature = "http")]
    check::<Boxed, http::Request<http_body_util::Full<bytes::Bytes>>>();
}

/// A service with a boxed future, as most clients have.
#[derive(Clone)]
struct Boxed;

impl<Req> Service<Req> for Boxed {
    type Response = ();
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Req) -> Self::Future {
        Box::pin(async { Ok(()) })
    }
}

/// A service with any future.
struct With<F>(F);

impl<F: Clone> Clone for With<F> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: Future<Output = Result<(), Infallible>> + Clone> Service<u64> for With<F> {
    type Response = ();
    type Error = Infallible;
    type Future = F;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u64) -> F {
        self.0.clone()
    }
}

/// Neither `Unpin`, nor `Send` with an `Rc` in it.
#[derive(Clone)]
struct Pinned<T>(#[allow(dead_code)] T, PhantomPinned);

impl<T> Future for Pinned<T> {
    type Output = Result<(), Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(()))
    }
}

/// Whether a type has an auto trait, found out at compile time: the inherent constant wins where
/// its bound holds.
macro_rules! has {
    ($ty:ty: $bound:ident) => {{
        #[allow(dead_code)]
        trait Otherwise {
            const HAS: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        #[allow(dead_code)]
        struct Asked<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        impl<T: ?Sized + $bound> Asked<T> {
            const HAS: bool = true;
        }
        <Asked<$ty>>::HAS
    }};
}

const _: () = {
    type Ours<F> = Future1<With<F>, u64>;
    type Easy = Ready<Result<(), Infallible>>;
    assert!(has!(Ours<Easy>: Send) && has!(Ours<Easy>: Unpin));
    assert!(has!(Ours<Pinned<()>>: Send) && !has!(Ours<Pinned<()>>: Unpin));
    assert!(!has!(Ours<Pinned<Rc<()>>>: Send));

    assert!(has!(ConnRetry<Echo>: Send) && has!(ConnRetry<Echo>: Sync));
    assert!(has!(ConnRetry<Echo>: Clone) && has!(ConnRetry<Echo>: Unpin));
    // A service need not be `Sync` for its futures to be `Send`.
    assert!(has!(ConnRetry<Cell<u8>>: Send) && !has!(ConnRetry<Cell<u8>>: Sync));

    assert!(has!(Error: Send) && has!(Error: Sync) && has!(Error: Unpin));
    assert!(size_of::<Error>() == size_of::<usize>());
    assert!(size_of::<Option<Error>>() == size_of::<usize>());
};

fn _an_error_is_static(error: Error) -> Box<dyn std::error::Error + Send + Sync + 'static> {
    error.into()
}

/// Anything but plain data.
struct Local<'a> {
    log: &'a RefCell<Vec<u64>>,
    shared: Rc<()>,
}

impl Clone for Local<'_> {
    fn clone(&self) -> Self {
        let (log, shared) = (self.log, self.shared.clone());
        Self { log, shared }
    }
}

impl<'a> Service<&'a u64> for Local<'a> {
    type Response = Rc<()>;
    type Error = io::Error;
    type Future = Ready<io::Result<Rc<()>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: &'a u64) -> Self::Future {
        self.log.borrow_mut().push(*request);
        ready(Ok(self.shared.clone()))
    }
}

#[test]
fn in_line_a_service_need_be_neither_send_nor_static() {
    let log = RefCell::new(Vec::new());
    let number = 7;
    let shared = Rc::new(());
    let mut service = RetryOnConnErr.layer(Local { log: &log, shared });
    let future: ResponseFuture<_, _, _, _, _> = service.call(&number);
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(matches!(pin!(future).poll(cx), Poll::Ready(Ok(_))));
    assert_eq!(*log.borrow(), [7]);
}
