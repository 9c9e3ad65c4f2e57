//! A request that an HTTP/1.1 connection has taken, and how it ends.
//!
//! The caller waits for the answer. The connection's task wants to know, when the connection is
//! over, whether there was one, or the caller's own body failed: then its end is no failure of those who wait
//! behind it. It can't wait
//! for the caller, who may never be polled again. So both have their hand on it, and the task looks
//! for itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::task::{Context, Poll, ready};

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderMap, Version};
use hyper::Response;
use hyper::body::{Body, Incoming};

use super::future::{Answer, Sending};

/// The caller's hand. Dropping it drops the request.
pub(super) struct Flight<B>(Arc<Mutex<Stage<B>>>);

/// The connection's hand.
pub(super) struct Watch<B>(Arc<Mutex<Stage<B>>>);

enum Stage<B> {
    /// hyper has it.
    Sent(Sending<B>),
    /// The connection's task has looked, and the caller has not heard yet.
    Unheard(Answer<B>),
    /// The caller has heard.
    Over { well: bool },
    /// The caller is gone, and hyper hears of it.
    Dropped,
}

/// Whether a connection that ends after this, without an error, ends well. hyper does not say whether it
/// has read the whole body of the answer. But either there is none, or the end was announced. And where the
/// caller's own body has failed, there is no other way to end the request.
fn is_well<B>(answer: &Answer<B>) -> bool {
    match answer {
        Ok(answer) => answer.body().is_end_stream() || is_last(answer),
        Err(error) => error.is_callers_own(),
    }
}

/// Whether the server will close the connection after this answer (RFC 9112 §9.3, §9.6), or its
/// body ends with the connection (§6.3).
fn is_last(answer: &Response<Incoming>) -> bool {
    let headers = answer.headers();
    let announced = match answer.version() {
        Version::HTTP_11 => says(headers, "close"),
        _ => !says(headers, "keep-alive"),
    };
    let is_endless = || {
        let length = answer.body().size_hint().exact();
        length.is_none() && !headers.contains_key(TRANSFER_ENCODING)
    };
    announced || is_endless()
}

fn says(headers: &HeaderMap, option: &str) -> bool {
    let lists = headers.get_all(CONNECTION).iter();
    lists
        .filter_map(|list| list.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|found| found.trim().eq_ignore_ascii_case(option))
}

impl<B> Watch<B> {
    /// Of the connection's next request. `former` is that of the one before it: where its caller has
    /// heard, which is the usual case, there is nothing to allocate.
    pub(super) fn next(former: Option<Self>, sending: Sending<B>) -> (Self, Flight<B>) {
        let stage = Stage::Sent(sending);
        let shared = match former {
            None => Arc::new(Mutex::new(stage)),
            Some(Self(mut shared)) => match Arc::get_mut(&mut shared) {
                None => Arc::new(Mutex::new(stage)),
                Some(over) => {
                    *over.get_mut().unwrap_or_else(PoisonError::into_inner) = stage;
                    shared
                }
            },
        };
        (Self(shared.clone()), Flight(shared))
    }

    /// Whether it was answered, or its caller's own body has failed, so that the connection has ended well. To be
    /// polled when hyper's connection was dropped, so that the caller has been woken; it is pending only where
    /// tokio wants the task to yield.
    pub(super) fn poll_well(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut stage = lock(&self.0);
        let (well, sent) = match &mut *stage {
            Stage::Over { well } => return Poll::Ready(*well),
            // Perhaps because the peer is silent: a timeout drops it, too.
            Stage::Dropped => return Poll::Ready(false),
            Stage::Unheard(answer) => return Poll::Ready(is_well(answer)),
            Stage::Sent(sending) => {
                let answer = ready!(sending.poll(cx));
                let well = is_well(&answer);
                (well, std::mem::replace(&mut *stage, Stage::Unheard(answer)))
            }
        };
        drop(stage);
        drop(sent);
        Poll::Ready(well)
    }

    /// Whether its caller is gone without having heard.
    pub(super) fn is_dropped(&self) -> bool {
        match self.0.try_lock() {
            Ok(stage) => matches!(*stage, Stage::Dropped),
            // The caller is there.
            Err(_) => false,
        }
    }
}

impl<B> Flight<B> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer<B>> {
        let mut stage = lock(&self.0);
        if let Stage::Sent(sending) = &mut *stage {
            let answer = ready!(sending.poll(cx));
            let well = is_well(&answer);
            let sent = std::mem::replace(&mut *stage, Stage::Over { well });
            drop(stage);
            drop(sent);
            return Poll::Ready(answer);
        }
        // The connection is over, and has asked before.
        match std::mem::replace(&mut *stage, Stage::Over { well: false }) {
            Stage::Unheard(answer) => Poll::Ready(answer),
            _ => panic!("polled after it was ready"),
        }
    }
}

impl<B> Drop for Flight<B> {
    fn drop(&mut self) {
        let mut stage = match self.0.try_lock() {
            Ok(stage) => stage,
            Err(TryLockError::Poisoned(stage)) => stage.into_inner(),
            // The connection's task is at it right now, on this thread perhaps, if it has dropped the
            // last waker of the caller's task. So the connection is over, and with it the request.
            Err(TryLockError::WouldBlock) => return,
        };
        if let Stage::Over { .. } = &*stage {
            return;
        }
        let dropped = std::mem::replace(&mut *stage, Stage::Dropped);
        drop(stage);
        drop(dropped); // which wakes the connection's task
    }
}

fn lock<B>(stage: &Mutex<Stage<B>>) -> MutexGuard<'_, Stage<B>> {
    stage.lock().unwrap_or_else(PoisonError::into_inner)
}
