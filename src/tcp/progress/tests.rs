//! With a socket that acknowledges when the test says so, and in virtual time.

use std::cell::Cell;
use std::future::poll_fn;
use std::ops::RangeInclusive;

use tokio::time::timeout;

use super::*;

const LIMIT: Duration = Duration::from_secs(15);
/// When what stays unacknowledged has to be noticed: the timer may be late by a little.
const NOTICED: RangeInclusive<Duration> =
    Duration::from_millis(16_000)..=Duration::from_millis(17_900);

#[derive(Default)]
struct Kernel {
    silent: bool,
    written: Cell<u64>,
    acknowledged: Cell<u64>,
    looks: Cell<u32>,
}

impl Socket for Kernel {
    fn is_plain(&self) -> bool {
        true
    }

    fn written(&self) -> u64 {
        self.written.get()
    }

    fn unacknowledged(&self) -> io::Result<u64> {
        self.looks.set(self.looks.get() + 1);
        match self.silent {
            true => Err(io::ErrorKind::Unsupported.into()),
            false => Ok(self.written.get() - self.acknowledged.get()),
        }
    }

    fn give_up(&self) {}
}

impl Kernel {
    fn write(&self, bytes: u64) {
        self.written.set(self.written.get() + bytes);
    }

    fn acknowledge(&self, bytes: u64) {
        self.acknowledged.set(self.acknowledged.get() + bytes);
    }
}

/// Watches for so many seconds. The time it took to find the connection stalled, if it did.
async fn watched(watch: &mut Watch, kernel: &Kernel, seconds: u64) -> Option<Duration> {
    let begun = Instant::now();
    let stalled = poll_fn(|cx| watch.poll_stalled(kernel, cx));
    let error = timeout(Duration::from_secs(seconds), stalled).await.ok()?;
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    Some(begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_stays_unacknowledged_is_noticed_soon_after_the_limit() {
    for wait in 0..8 {
        let kernel = Kernel::default();
        let mut watch = Watch::new(Some(LIMIT));
        kernel.write(10);
        kernel.acknowledge(10);
        assert_eq!(watched(&mut watch, &kernel, wait).await, None);
        kernel.write(10);
        let taken = watched(&mut watch, &kernel, 100).await.unwrap();
        assert!(NOTICED.contains(&taken), "{wait}: {taken:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_is_acknowledged_begins_it_anew() {
    let kernel = Kernel::default();
    let mut watch = Watch::new(Some(LIMIT));
    kernel.write(1_000);
    for _ in 0..100 {
        assert_eq!(watched(&mut watch, &kernel, 14).await, None);
        kernel.acknowledge(1);
    }
    let taken = watched(&mut watch, &kernel, 100).await.unwrap();
    assert!(NOTICED.contains(&taken), "{taken:?}");
}

/// A stream that flows, where some bytes happen to be on their way at each look.
#[tokio::test(start_paused = true)]
async fn new_bytes_under_way_at_each_look_are_not_the_old_ones() {
    let kernel = Kernel::default();
    let mut watch = Watch::new(Some(LIMIT));
    for _ in 0..1_000 {
        kernel.write(10);
        assert_eq!(watched(&mut watch, &kernel, 1).await, None);
        kernel.acknowledge(10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_time_without_anything_to_acknowledge_does_not_count() {
    let kernel = Kernel::default();
    let mut watch = Watch::new(Some(LIMIT));
    for _ in 0..100 {
        kernel.write(10);
        assert_eq!(watched(&mut watch, &kernel, 14).await, None);
        kernel.acknowledge(10);
        // Nobody asks: nothing is under way.
        tokio::time::sleep(Duration::from_secs(100)).await;
    }
    let looks = kernel.looks.get();
    assert_eq!(watched(&mut watch, &kernel, 1_000).await, None);
    let looks = kernel.looks.get() - looks;
    let most = 1_000 * LOOKS / 15 + 1;
    assert!(looks <= most, "{looks}");
}

#[tokio::test(start_paused = true)]
async fn it_is_asked_often_and_looks_seldom() {
    let kernel = Kernel::default();
    let mut watch = Watch::new(Some(LIMIT));
    for _ in 0..10_000 {
        kernel.write(10);
        let cx = &mut Context::from_waker(std::task::Waker::noop());
        assert!(watch.poll_stalled(&kernel, cx).is_pending());
        // As a task that is scheduled anew now and then.
        tokio::task::yield_now().await;
        kernel.acknowledge(10);
    }
    assert_eq!(kernel.looks.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_tells_or_nobody_asks_nothing_is_noticed() {
    for (silent, limit, looks) in [(true, Some(LIMIT), 1), (false, None, 0)] {
        let kernel = Kernel {
            silent,
            ..Kernel::default()
        };
        kernel.write(10);
        let mut watch = Watch::new(limit);
        assert_eq!(watched(&mut watch, &kernel, 1_000_000).await, None);
        assert_eq!(kernel.looks.get(), looks);
    }
}

#[tokio::test(start_paused = true)]
async fn the_shortest_limit_and_the_longest_one() {
    let kernel = Kernel::default();
    kernel.write(10);
    let mut watch = Watch::new(Some(Duration::from_millis(1)));
    let taken = watched(&mut watch, &kernel, 10).await.unwrap();
    assert!(taken <= GRACE + Duration::from_millis(10), "{taken:?}");
    let mut watch = Watch::new(Some(Duration::from_millis(0x7fff_ffff)));
    assert_eq!(watched(&mut watch, &kernel, 1_000_000).await, None);
}
