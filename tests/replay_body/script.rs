//! A body that does what it is told.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tower_conn_retry::{BoxError, ReplayBody, ReplayBodyError};

/// What a body does when it is polled.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Data(Bytes),
    Trailers(HeaderMap),
    /// Pending once; the waker is called at once.
    Pending,
    /// Pending until [`Gate::open`].
    Waits(Arc<Gate>),
    Fails,
    Panics,
}

#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<(bool, Option<Waker>)>);

impl Gate {
    pub(crate) fn open(&self) {
        let mut gate = self.0.lock().unwrap();
        gate.0 = true;
        if let Some(waker) = gate.1.take() {
            waker.wake();
        }
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut gate = self.0.lock().unwrap();
        if gate.0 {
            return Poll::Ready(());
        }
        gate.1 = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[derive(Default)]
pub(crate) struct Script {
    acts: VecDeque<Act>,
    hint: SizeHint,
    tells_end: bool,
    dropped: CountsDrops,
}

#[derive(Default)]
struct CountsDrops(Arc<AtomicUsize>);

impl Script {
    pub(crate) fn new(acts: impl IntoIterator<Item = Act>) -> Self {
        Self {
            acts: acts.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Says how much data is left, exactly.
    pub(crate) fn sized(mut self) -> Self {
        let length = |act: &Act| match act {
            Act::Data(data) => data.len() as u64,
            _ => 0,
        };
        self.hint = SizeHint::with_exact(self.acts.iter().map(length).sum());
        self
    }

    /// Says that so much data is left, whether that is true or not.
    pub(crate) fn says(mut self, bytes: u64) -> Self {
        self.hint = SizeHint::with_exact(bytes);
        self
    }

    /// Says that there is so much data at least.
    pub(crate) fn at_least(mut self, bytes: u64) -> Self {
        self.hint.set_lower(bytes);
        self
    }

    /// Says that it is at its end as soon as it is, and not only when polled.
    pub(crate) fn tells_end(mut self) -> Self {
        self.tells_end = true;
        self
    }

    /// Counts up when it is dropped.
    pub(crate) fn dropped(&self) -> Arc<AtomicUsize> {
        self.dropped.0.clone()
    }
}

impl Drop for CountsDrops {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Body for Script {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(Act::Waits(gate)) = self.acts.front() {
            std::task::ready!(gate.poll(cx));
            self.acts.pop_front();
        }
        let frame = match self.acts.pop_front() {
            None => return Poll::Ready(None),
            Some(Act::Data(data)) => {
                let left = self.hint.exact();
                let left = left.map(|left| left.saturating_sub(data.len() as u64));
                if let Some(left) = left {
                    self.hint = SizeHint::with_exact(left);
                }
                Frame::data(data)
            }
            Some(Act::Trailers(trailers)) => Frame::trailers(trailers),
            Some(Act::Pending | Act::Waits(_)) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Act::Fails) => {
                return Poll::Ready(Some(Err(io::Error::other("the disk is gone"))));
            }
            Some(Act::Panics) => panic!("a bug in the body"),
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.tells_end && self.acts.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

pub(crate) fn data(text: &'static str) -> Act {
    Act::Data(Bytes::from_static(text.as_bytes()))
}

pub(crate) fn trailers(value: &str) -> Act {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", value.parse().unwrap());
    Act::Trailers(trailers)
}

/// All data of a message, and its trailers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    pub(crate) data: BytesMut,
    pub(crate) trailers: Vec<HeaderMap>,
}

impl Message {
    /// What a body of these acts says, if it says it to the end.
    pub(crate) fn of(acts: &[Act]) -> Self {
        let mut message = Self::default();
        for act in acts {
            match act {
                Act::Data(data) => message.data.extend_from_slice(data),
                Act::Trailers(trailers) => message.trailers.push(trailers.clone()),
                _ => {}
            }
        }
        message
    }

    pub(crate) fn add(&mut self, frame: Frame<Bytes>) {
        match frame.into_data() {
            Ok(data) => self.data.extend_from_slice(&data),
            Err(frame) => self.trailers.push(frame.into_trailers().unwrap()),
        }
    }
}

/// One poll, with a waker that counts.
pub(crate) fn poll<B>(
    body: &mut ReplayBody<B>,
    wakes: &Arc<Wakes>,
) -> Poll<Option<Result<Frame<Bytes>, BoxError>>>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let waker = Waker::from(wakes.clone());
    Pin::new(body).poll_frame(&mut Context::from_waker(&waker))
}

#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The next data.
pub(crate) fn next(body: &mut ReplayBody<Script>) -> Bytes {
    match poll(body, &Arc::default()) {
        Poll::Ready(Some(Ok(frame))) => frame.into_data().unwrap(),
        other => panic!("{other:?}"),
    }
}

/// Reads on to the end, or to the first error.
pub(crate) fn rest(body: &mut ReplayBody<Script>) -> Result<Message, BoxError> {
    let wakes = Arc::default();
    let mut message = Message::default();
    loop {
        if body.is_end_stream() {
            return Ok(message);
        }
        match poll(body, &wakes) {
            Poll::Ready(Some(frame)) => message.add(frame?),
            Poll::Ready(None) => return Ok(message),
            Poll::Pending => {}
        }
    }
}

/// The text up to the end.
pub(crate) fn text(body: &mut ReplayBody<Script>) -> String {
    let message = rest(body).unwrap();
    String::from_utf8(message.data.to_vec()).unwrap()
}

pub(crate) fn failure(body: &mut ReplayBody<Script>) -> ReplayBodyError {
    let error = rest(body).unwrap_err();
    *error.downcast().unwrap()
}
