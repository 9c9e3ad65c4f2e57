//! Rules 12 and 18: requests that can't be copied.

use std::cell::Cell;
use std::error::Error as StdError;
use std::future::{Ready, ready};
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tower::{BoxError, Layer, Service, ServiceExt};
use tower_conn_retry::{Destination, Observer, Reason, Replayable, RetryOnConnErr, Sent, Unsent};

use super::peer::{MS, settle, steady};

/// Can't be copied. Counts how often its destination was read.
#[derive(Debug)]
struct Stream {
    number: u64,
    reads: Arc<Mutex<u32>>,
    /// Makes it `!Sync`: nothing here needs that.
    _cell: Cell<()>,
}

fn stream(number: u64) -> Stream {
    Stream {
        number,
        reads: Arc::default(),
        _cell: Cell::new(()),
    }
}

impl Replayable for Stream {
    fn try_clone(&self) -> Option<Self> {
        None
    }

    fn destination(&self) -> Destination {
        *self.reads.lock().unwrap() += 1;
        Destination::new("there")
    }

    fn take_back(error: &(dyn StdError + 'static)) -> Option<Self> {
        Unsent::find(error)
    }
}

/// Fails so many times, handing the request back or not.
#[derive(Clone)]
struct Fails {
    left: Arc<Mutex<u32>>,
    hands_back: bool,
}

impl Service<Stream> for Fails {
    type Response = u64;
    type Error = BoxError;
    type Future = Ready<Result<u64, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Stream) -> Self::Future {
        let mut left = self.left.lock().unwrap();
        if *left == 0 {
            return ready(Ok(request.number));
        }
        *left -= 1;
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        ready(Err(if self.hands_back {
            Box::new(io::Error::other(Unsent::new(request, refused)))
        } else {
            refused.into()
        }))
    }
}

fn fails(times: u32, hands_back: bool) -> Fails {
    Fails {
        left: Arc::new(Mutex::new(times)),
        hands_back,
    }
}

#[tokio::test(start_paused = true)]
async fn rule_12_it_gets_its_first_attempt() {
    let service = RetryOnConnErr.layer(fails(0, false));
    assert_eq!(service.oneshot(stream(1)).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn rule_12_without_a_copy_it_is_not_replayed() {
    let service = RetryOnConnErr.layer(fails(1, false));
    let error = service.oneshot(stream(1)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::NotReplayable);
    assert_eq!((error.attempts(), error.sent()), (1, Sent::Maybe));
}

#[tokio::test(start_paused = true)]
async fn rule_12_handed_back_it_is_replayed() {
    let service = steady().layer(fails(3, true));
    let began = tokio::time::Instant::now();
    assert_eq!(service.oneshot(stream(1)).await.unwrap(), 1);
    assert_eq!(began.elapsed(), 300 * MS);
}

#[tokio::test(start_paused = true)]
async fn rule_12_it_waits_for_a_link_that_is_down_and_gets_its_attempt_then() {
    let service = steady().layer(fails(1, false));
    service.clone().oneshot(stream(1)).await.unwrap_err(); // takes the link down
    let waits = tokio::spawn(service.clone().oneshot(stream(2)));
    settle().await;
    assert!(!waits.is_finished());
    assert_eq!(waits.await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn rule_18_its_destination_is_read_before_the_call() {
    let service = RetryOnConnErr.layer(fails(1, false));
    let request = stream(1);
    let reads = request.reads.clone();
    let mut service = service;
    let future = service.ready().await.unwrap().call(request);
    assert!(*reads.lock().unwrap() >= 1);
    future.await.unwrap_err();
    let status = service.links().status();
    assert_eq!(status[0].destination(), &Destination::new("there"));
}

/// Counts what it is told of calls that ended well.
#[derive(Default)]
struct Recovered(Mutex<u32>);

impl Observer for &'static Recovered {
    fn recovered(&self, _: &Destination, _: u32, _: Duration) {
        *self.0.lock().unwrap() += 1;
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_at_once_is_no_recovery() {
    for (failures, expected) in [(0, 0), (1, 1)] {
        let recovered: &Recovered = Box::leak(Box::default());
        let service = steady().observer(recovered).layer(Fails {
            left: Arc::new(Mutex::new(failures)),
            hands_back: true,
        });
        service.oneshot(stream(1)).await.unwrap();
        assert_eq!(*recovered.0.lock().unwrap(), expected);
    }
}
