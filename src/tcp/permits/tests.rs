use std::sync::Arc;
use std::task::Wake;

use tokio::time::{advance, pause};

use super::*;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Somebody who waits.
#[derive(Default)]
struct Waiter {
    place: Option<u64>,
    wakes: Arc<Wakes>,
}

impl Waiter {
    fn poll(&mut self, permits: &Permits) -> Poll<bool> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        permits.poll_take(&mut self.place, &mut Context::from_waker(&waker))
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

#[test]
fn permits_are_taken_in_the_order_of_asking() {
    let permits = Permits::new(1);
    assert!(permits.try_take() && !permits.try_take());
    let mut waiters: [Waiter; 3] = Default::default();
    for waiter in &mut waiters {
        assert_eq!(waiter.poll(&permits), Poll::Pending);
    }
    let [a, b, c] = &mut waiters;
    permits.give_back(2);
    // There are two, for those who came first.
    assert!(!permits.try_take());
    assert_eq!(c.poll(&permits), Poll::Pending);
    assert_eq!(b.poll(&permits), Poll::Pending);
    assert_eq!((a.wakes(), b.wakes(), c.wakes()), (1, 0, 0));
    assert_eq!(a.poll(&permits), Poll::Ready(true));
    assert_eq!((a.wakes(), b.wakes(), c.wakes()), (1, 1, 0));
    assert_eq!(b.poll(&permits), Poll::Ready(true));
    assert_eq!(c.poll(&permits), Poll::Pending);
    permits.give_back(1);
    assert_eq!(c.poll(&permits), Poll::Ready(true));
    assert!(!permits.try_take());
}

#[test]
fn who_leaves_wakes_the_next() {
    let permits = Permits::new(0);
    let mut waiters: [Waiter; 2] = Default::default();
    for waiter in &mut waiters {
        assert_eq!(waiter.poll(&permits), Poll::Pending);
    }
    permits.give_back(1);
    let [a, b] = &mut waiters;
    permits.leave(a.place.unwrap());
    assert_eq!(b.wakes(), 1);
    assert_eq!(b.poll(&permits), Poll::Ready(true));
}

#[test]
fn a_line_that_is_closed_keeps_nobody() {
    let permits = Permits::new(0);
    let mut waiters: [Waiter; 2] = Default::default();
    assert_eq!(waiters[0].poll(&permits), Poll::Pending);
    permits.close();
    assert_eq!(waiters[0].wakes(), 1);
    for waiter in &mut waiters {
        assert_eq!(waiter.poll(&permits), Poll::Ready(false));
        assert_eq!(waiter.place, None);
    }
}

#[tokio::test]
async fn whoever_does_not_come_for_its_permit_loses_its_place() {
    pause();
    let permits = Permits::new(0);
    let mut waiters: [Waiter; 3] = Default::default();
    for waiter in &mut waiters {
        assert_eq!(waiter.poll(&permits), Poll::Pending);
    }
    let [a, b, c] = &mut waiters;
    let mut unclaimed = Unclaimed::default();
    let cx = &mut Context::from_waker(Waker::noop());
    // While none is free nobody is late.
    unclaimed.poll(&permits, cx);
    advance(100 * PATIENCE).await;
    permits.give_back(1);
    unclaimed.poll(&permits, cx);
    assert_eq!((a.wakes(), b.wakes()), (1, 0));
    advance(PATIENCE / 2).await;
    unclaimed.poll(&permits, cx);
    assert_eq!(b.wakes(), 0);
    // Each has its time.
    for expected in [(1, 0), (1, 1)] {
        advance(PATIENCE + Duration::from_millis(1)).await;
        unclaimed.poll(&permits, cx);
        assert_eq!((b.wakes(), c.wakes()), expected);
    }
    // It comes after all, but now it is the last.
    assert_eq!(a.poll(&permits), Poll::Pending);
    assert_eq!(c.poll(&permits), Poll::Ready(true));
}
