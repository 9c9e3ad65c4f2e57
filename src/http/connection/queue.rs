//! The requests that wait for their turn on an HTTP/1.1 connection, which takes one at a time.
//!
//! The connection's own task gives the turns, not the callers: so one that is dropped, or that is
//! not polled any more, is in nobody's way.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use hyper::Request;
use hyper::body::Body;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::oneshot;

use super::error::is_callers_own;
use super::flight::{Flight, Watch};
use super::form::origin_form;
use super::future::{Sending, Turn};
use super::{ConnectionClosed, ResponseFuture, SendError};

/// The sending half of a connection, and those who wait for it.
pub(super) struct Queue<B>(Mutex<State<B>>);

struct State<B> {
    sender: SendRequest<B>,
    /// Oldest first.
    waiting: VecDeque<Waiting<B>>,
    /// The last request that was sent.
    flight: Option<Watch<B>>,
    /// hyper's connection is over, and the task looks how it has ended.
    ending: bool,
    /// Wakes the connection's task.
    task: Option<Waker>,
    closed: Option<ConnectionClosed>,
}

struct Waiting<B> {
    request: Request<B>,
    turn: oneshot::Sender<Turn<B>>,
}

impl<B> Queue<B> {
    pub(super) fn new(sender: SendRequest<B>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            sender,
            waiting: VecDeque::new(),
            flight: None,
            ending: false,
            task: None,
            closed: None,
        })))
    }

    /// The connection is over, as far as is known.
    pub(super) fn closed(&self) -> Option<ConnectionClosed> {
        let state = self.lock();
        match &state.closed {
            None if state.sender.is_closed() && !state.ending => Some(ConnectionClosed::new(None)),
            closed => closed.clone(),
        }
    }

    /// hyper's connection is over. New requests wait until it is clear how it has ended.
    pub(super) fn end(&self, result: hyper::Result<()>) -> Ending<B> {
        let mut state = self.lock();
        state.ending = true;
        Ending {
            flight: state.flight.take(),
            result,
        }
    }

    /// It is clear now, or the connection's task is gone. Whoever waits gets the request back.
    pub(super) fn close(&self, verdict: Verdict) {
        let mut state = self.lock();
        if state.closed.is_some() {
            return;
        }
        let waiting = std::mem::take(&mut state.waiting);
        let closed = match verdict {
            Verdict::Well => ConnectionClosed::well(waiting.len()),
            Verdict::Failed(cause) => ConnectionClosed::new(cause.map(Arc::new)),
        };
        state.closed = Some(closed.clone());
        drop(state);
        for (number, Waiting { request, turn }) in waiting.into_iter().enumerate() {
            let _ = turn.send(Err(SendError::unsent(request, closed.for_waiting(number))));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body + Send + 'static> Queue<B> {
    /// Sends the request if nobody waits and the connection is ready, else it waits.
    pub(super) fn send(self: &Arc<Self>, request: Request<B>) -> ResponseFuture<B> {
        let mut state = self.lock();
        if let Some(closed) = &state.closed {
            let error = SendError::unsent(request, closed.for_late());
            return ResponseFuture::failed(error);
        }
        if state.waiting.is_empty() && state.sender.is_ready() && !state.ending {
            return ResponseFuture::in_flight(state.send(request));
        }
        let (turn, turned) = oneshot::channel();
        state.waiting.push_back(Waiting { request, turn });
        let task = state.task.clone();
        drop(state);
        // So that it asks hyper again: what it has been told may be old.
        task.into_iter().for_each(Waker::wake);
        ResponseFuture::waiting(turned, self.clone())
    }

    /// Gives turns while the connection is ready for a request. Called by its task, after the
    /// connection had the chance to say that it is.
    ///
    /// `true` if it is not, and the caller of its last request is gone, so that the connection is to be dropped:
    /// hyper would first write what it has of that request, which the peer may never read.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> bool {
        // Dropped without the lock.
        let (mut gone, mut late) = (Vec::new(), Vec::new());
        let mut state = self.lock();
        while let Some(next) = state.waiting.front() {
            if next.turn.is_closed() {
                gone.extend(state.waiting.pop_front());
                continue;
            }
            // An error: it is closed, and the task is about to say so.
            let Poll::Ready(Ok(())) = state.sender.poll_ready(cx) else {
                break;
            };
            if let Some(Waiting { request, turn }) = state.waiting.pop_front() {
                // If the caller goes in this moment, so does the request.
                late.extend(turn.send(Ok(state.send(request))).err());
            }
        }
        let dropped = state.flight.as_ref().is_some_and(Watch::is_dropped);
        let abandoned = dropped && !matches!(state.sender.poll_ready(cx), Poll::Ready(Ok(())));
        let former = match &state.task {
            Some(task) if task.will_wake(cx.waker()) => None,
            _ => state.task.replace(cx.waker().clone()),
        };
        drop(state);
        drop((gone, late, former));
        abandoned
    }
}

impl<B: Body + Send + 'static> State<B> {
    /// The sender is ready.
    fn send(&mut self, mut request: Request<B>) -> Flight<B> {
        let undo = origin_form(&mut request);
        let sending = Sending::new(self.sender.try_send_request(request), undo);
        let (watch, flight) = Watch::next(self.flight.take(), sending);
        self.flight = Some(watch);
        flight
    }
}

/// A connection that is over, when it is not clear yet how it has ended.
pub(super) struct Ending<B> {
    flight: Option<Watch<B>>,
    result: hyper::Result<()>,
}

/// How a connection has ended.
pub(super) enum Verdict {
    /// After an answer, or because the own body of the caller of the request in flight has failed.
    Well,
    /// With a request in flight, or without having answered any, or nobody knows.
    Failed(Option<hyper::Error>),
}

impl<B> Ending<B> {
    /// To be polled when hyper's connection was dropped.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Verdict> {
        let well = match &self.flight {
            None => false,
            Some(flight) => ready!(flight.poll_well(cx)),
        };
        let result = std::mem::replace(&mut self.result, Ok(()));
        Poll::Ready(match result {
            Ok(()) if well => Verdict::Well,
            // Of a body that went on after the answer.
            Err(error) if is_callers_own(&error) => Verdict::Well,
            result => Verdict::Failed(result.err()),
        })
    }
}
