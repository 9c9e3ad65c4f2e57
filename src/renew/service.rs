use std::any::type_name;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tower_service::Service;

use super::ResponseFuture;
use crate::BoxError;

/// A call that was given up after so long without an answer was perhaps on a dead connection.
const SUSPECT_AFTER: Duration = Duration::from_secs(1);

/// A pooled client that is made anew when one of its connections broke.
///
/// See the [module's documentation](crate::renew) for when, and what it costs. All clones share the
/// client.
pub struct Renew<S, F> {
    shared: Arc<Shared<S, F>>,
    /// This clone's own, once it was polled, and which one it is. A clone that nobody uses must not
    /// keep a client whose time is over.
    client: Option<S>,
    generation: u64,
    suspect_after: Duration,
}

impl<S: Clone, F: Fn() -> S> Renew<S, F> {
    /// Makes the client now, and again when one of its connections broke.
    ///
    /// `make` has to make another client: clones of one share its pool, so to clone one that is there changes
    /// nothing.
    ///
    /// What the client keeps beside connections, such as cookies, [is lost](crate::renew#what-is-lost) with it.
    ///
    /// It is called in the midst of a call: it should neither block nor wait. The callers that
    /// need the new client wait while it runs; it must not use this service.
    pub fn new(make: F) -> Self {
        let client = make();
        let shared = Shared {
            make,
            generation: AtomicU64::new(0),
            current: Mutex::new(Some(client)),
        };
        Self {
            shared: Arc::new(shared),
            client: None,
            generation: 0,
            suspect_after: SUSPECT_AFTER,
        }
    }

    /// A call that is dropped after so long without an answer counts as a broken connection.
    /// Default: 1 s.
    ///
    /// Keep it below [`attempt_timeout`](crate::RetryOnConnErr::attempt_timeout), which ends an
    /// attempt by dropping it. With [`Duration::MAX`] no dropped call counts.
    #[must_use]
    pub fn suspect_after(self, time: Duration) -> Self {
        Self {
            suspect_after: time,
            ..self
        }
    }
}

impl<S, F> Renew<S, F> {
    /// How many clients were made after the first.
    pub fn renewals(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }
}

impl<S, F, Req> Service<Req> for Renew<S, F>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    F: Fn() -> S,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = ResponseFuture<S::Future, S, F>;

    /// Ready when the client is; it fails as the client does.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.generation != self.shared.generation.load(Ordering::Acquire) {
            self.client = None;
        }
        let client = match &mut self.client {
            Some(client) => client,
            none => {
                let (client, generation) = self.shared.current();
                self.generation = generation;
                none.insert(client)
            }
        };
        client.poll_ready(cx).map_err(|error| {
            self.shared.retire(self.generation);
            error.into()
        })
    }

    /// # Panics
    ///
    /// Where [`poll_ready`](Service::poll_ready) was never ready.
    fn call(&mut self, request: Req) -> Self::Future {
        let client = self.client.as_mut().expect("`call` before `poll_ready`");
        let future = client.call(request);
        ResponseFuture::new(
            future,
            self.shared.clone(),
            self.generation,
            self.suspect_after,
        )
    }
}

impl<S, F> Clone for Renew<S, F> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
            client: None,
            generation: self.generation,
            suspect_after: self.suspect_after,
        }
    }
}

impl<S, F> fmt::Debug for Renew<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renew")
            .field("client", &type_name::<S>())
            .field("renewals", &self.renewals())
            .finish_non_exhaustive()
    }
}

pub(super) struct Shared<S, F> {
    make: F,
    /// How many clients were retired: the number of the current one. Changed under the lock.
    generation: AtomicU64,
    /// `None` from when it was retired until somebody needs the next.
    current: Mutex<Option<S>>,
}

impl<S: Clone, F: Fn() -> S> Shared<S, F> {
    fn current(&self) -> (S, u64) {
        // The lock is there for just this: nobody can do without the client that is being made.
        let mut current = self.lock();
        let client = current.get_or_insert_with(&self.make).clone();
        (client, self.generation.load(Ordering::Acquire))
    }
}

impl<S, F> Shared<S, F> {
    /// The client of this number is not used for new calls any more.
    pub(super) fn retire(&self, generation: u64) {
        let mut current = self.lock();
        if self.generation.load(Ordering::Acquire) != generation {
            return;
        }
        self.generation.store(generation + 1, Ordering::Release);
        let retired = current.take();
        drop(current);
        drop(retired);
    }

    fn lock(&self) -> MutexGuard<'_, Option<S>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
