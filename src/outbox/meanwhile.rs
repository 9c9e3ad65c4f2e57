use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, Stream};

/// Waits for something, while the deliveries go on: one that has its turn at the link and is not
/// polled loses it to the next in line, which would be out of order. Those that end are `landed`.
pub(super) async fn meanwhile<T: Future, F: Future>(
    deliveries: &mut FuturesUnordered<F>,
    landed: &mut VecDeque<F::Output>,
    something: T,
) -> T::Output {
    let mut something = pin!(something);
    poll_fn(|cx: &mut Context<'_>| {
        if let Poll::Ready(output) = something.as_mut().poll(cx) {
            return Poll::Ready(output);
        }
        while let Poll::Ready(Some(done)) = Pin::new(&mut *deliveries).poll_next(cx) {
            landed.push_back(done);
        }
        Poll::Pending
    })
    .await
}

/// Has those deliveries go on that can.
pub(super) async fn hear<F: Future>(
    deliveries: &mut FuturesUnordered<F>,
    landed: &mut VecDeque<F::Output>,
) {
    poll_fn(|cx: &mut Context<'_>| {
        while let Poll::Ready(Some(done)) = Pin::new(&mut *deliveries).poll_next(cx) {
            landed.push_back(done);
        }
        Poll::Ready(())
    })
    .await;
}
