//! Attempts on several threads: a new one begins while the old one is in the middle of a poll.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::time::timeout;
use tower_conn_retry::{BoxError, ReplayBody, ReplayBodyError};

use super::script::{Wakes, poll};

/// Its first poll takes until it is told to go on.
struct Slow {
    polled: mpsc::SyncSender<()>,
    go_on: mpsc::Receiver<bool>,
    polls: usize,
}

impl Body for Slow {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.polls += 1;
        if self.polls == 1 {
            self.polled.send(()).unwrap();
            if self.go_on.recv().unwrap() {
                return Poll::Pending; // the waker is lost, as the next reader has to poll anyway
            }
        }
        if self.polls > 3 {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

/// The new reader waits for the old one's poll, is woken by it, and misses nothing; the body's cap
/// does not matter to what the old one has in its hands.
#[test]
fn a_replay_that_begins_in_the_middle_of_a_poll_is_woken_and_misses_nothing() {
    for pending in [false, true] {
        let (polled, is_polled) = mpsc::sync_channel(1);
        let (go, go_on) = mpsc::channel();
        let inner = Slow {
            polled,
            go_on,
            polls: 0,
        };
        let kept = ReplayBody::new(inner, 0);
        let mut first = kept.clone();
        let old = std::thread::spawn(move || {
            let result = poll(&mut first, &Arc::default());
            (result, first)
        });
        is_polled.recv().unwrap();

        let mut second = kept.clone();
        let wakes = Arc::new(Wakes::default());
        assert!(poll(&mut second, &wakes).is_pending());
        assert!(poll(&mut second, &wakes).is_pending());
        assert_eq!(wakes.count(), 0);
        go.send(pending).unwrap();
        let (result, mut first) = old.join().unwrap();
        let Poll::Ready(Some(Err(error))) = result else {
            panic!("{result:?}")
        };
        assert_eq!(error.downcast_ref(), Some(&ReplayBodyError::Superseded));
        assert_eq!(wakes.count(), 1);
        let mut data = 0;
        while let Poll::Ready(Some(frame)) = poll(&mut second, &wakes) {
            data += frame.unwrap().into_data().unwrap().len();
        }
        assert_eq!(data, if pending { 2 } else { 3 });
        let Poll::Ready(Some(Err(_))) = poll(&mut first, &wakes) else {
            panic!("it goes on without what it has lost")
        };
    }
}

/// A body that is filled from another task, one byte at a time.
struct Piped(tokio::sync::mpsc::Receiver<u8>);

impl Body for Piped {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let byte = std::task::ready!(self.0.poll_recv(cx));
        Poll::Ready(byte.map(|byte| Ok(Frame::data(vec![byte].into()))))
    }
}

async fn read<B>(mut body: ReplayBody<B>, progress: &AtomicUsize) -> Result<Vec<u8>, BoxError>
where
    B: Body<Error = std::convert::Infallible>,
{
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        all.extend_from_slice(&frame?.into_data().unwrap());
        progress.fetch_max(all.len(), Ordering::Relaxed);
    }
    Ok(all)
}

/// Attempt after attempt takes over from one that nobody stops. All but the last one end, and the
/// last one has read everything. A wake-up that is lost shows as a timeout.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn attempts_that_overtake_each_other_end_and_the_last_one_reads_all() {
    for round in 0..200 {
        let (sender, receiver) = tokio::sync::mpsc::channel(1 + round % 7);
        let expected: Vec<u8> = (0..100).collect();
        let kept = ReplayBody::new(Piped(receiver), 1_000);
        let progress = Arc::new(AtomicUsize::new(0));
        let all = expected.clone();
        let writer = tokio::spawn(async move {
            for byte in all {
                sender.send(byte).await.unwrap();
                if byte % 3 == 0 {
                    tokio::task::yield_now().await;
                }
            }
        });
        let mut attempts = Vec::new();
        for attempt in 0..5 {
            let (body, mine) = (kept.clone(), progress.clone());
            attempts.push(tokio::spawn(async move { read(body, &mine).await }));
            while progress.load(Ordering::Relaxed) < attempt * 5 {
                tokio::task::yield_now().await;
            }
        }
        let deadline = Duration::from_secs(60);
        let mut whole = 0;
        for attempt in attempts {
            match timeout(deadline, attempt).await.unwrap().unwrap() {
                Ok(all) => {
                    assert_eq!(all, expected);
                    whole += 1;
                }
                Err(error) => {
                    assert_eq!(error.downcast_ref(), Some(&ReplayBodyError::Superseded));
                }
            }
        }
        assert!(whole >= 1);
        timeout(deadline, writer).await.unwrap().unwrap();
    }
}
