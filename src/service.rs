use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tower_service::Service;

use crate::config::Config;
use crate::future::{Rare, Start};
use crate::link::{Hold, Table};
use crate::mode::Mode;
use crate::{
    BoxError, ConnErrorPolicy, Destination, Error, Inline, Links, Reason, RequestModel,
    ResponseFuture, Ticket,
};

/// The service that [`RetryOnConnErr`](struct@crate::RetryOnConnErr) makes. Its clones share their links.
///
/// Needs a tokio runtime with its timer as soon as an attempt has to wait.
///
/// # Readiness
///
/// The first attempt uses the inner service that was polled ready through this one. Every replay
/// uses a fresh clone of the service that the layer was given, polled ready by itself. An error of
/// the inner `poll_ready` is the error of the next call, which is
/// [provably not sent](crate::Sent::No), and replayed if it is a connection error; an inner service
/// that is never ready makes this one never ready.
///
/// Of a `concurrency_limit` or a `buffer` below this layer, each replay needs a place. One that is ready and not
/// called keeps its place, as do the services that tower's `Steer` and `Balance` make ready in advance, and
/// so does a call whose future nobody polls. Where they have all places, replays wait for one, until
/// [`give_up_after`](crate::RetryOnConnErr::give_up_after). Put such a limit above this layer (then requests that
/// are held count, too), or let it have more places than those keep.
///
/// # Cancellation
///
/// Dropping the response's future is safe at any time: its attempt is cancelled, its place in the
/// backlog is free at once, and a probe passes on to the next in line.
///
/// # If it is no `Service`
///
/// "The method `ready` exists, but its trait bounds were not satisfied: `ConnRetry<…>: Service<_>`" is all that
/// the compiler says of a method. Asked like this it says why, and what to do:
///
/// ```
/// # use tower::{ServiceBuilder, service_fn};
/// # use tower_conn_retry::RetryOnConnErr;
/// fn is_service<Req>(_: &impl tower::Service<Req>) {}
///
/// # let client = service_fn(|text: String| async { Ok::<_, std::io::Error>(text) });
/// let client = ServiceBuilder::new().layer(RetryOnConnErr).service(client);
/// is_service::<String>(&client); // or whatever your requests are
/// ```
///
/// In most cases the request is not [`Replayable`](crate::Replayable), because a feature is missing (`reqwest`,
/// `http`), because its body is not `Clone` (`ReplayBodyLayer` makes it so), or because
/// it is a type of your own ([`clone_requests`](crate::RetryOnConnErr::clone_requests)).
pub struct ConnRetry<S, P = crate::DefaultPolicy, R = crate::ByTrait, M = Inline> {
    inner: S,
    /// What the inner `poll_ready` said.
    failed: Option<BoxError>,
    shared: Arc<Shared<S, P>>,
    mode: M,
    model: PhantomData<fn() -> R>,
}

pub(crate) struct Shared<S, P> {
    /// A lock of its own, held for `S::clone` alone, since services need not be `Sync`.
    template: Mutex<S>,
    pub(crate) policy: Arc<P>,
    pub(crate) table: Arc<Table>,
}

impl<S: Clone, P> Shared<S, P> {
    /// A fresh clone of the inner service, not ready.
    pub(crate) fn fresh(&self) -> S {
        self.template
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<S, P> Shared<S, P> {
    /// A copy of the request is about to be sent in another attempt.
    pub(crate) fn replays<Req>(
        &self,
        request: &mut Req,
        attempt: u32,
        destination: impl FnOnce() -> Destination,
    ) where
        P: ConnErrorPolicy<Req>,
    {
        self.policy.prepare(request, attempt);
        if let Some(observer) = &self.table.config().observer {
            observer.replay(&destination(), attempt);
        }
    }
}

impl<S: Clone, P, R, M> ConnRetry<S, P, R, M> {
    pub(crate) fn new(inner: S, policy: Arc<P>, config: Config, first: u64, mode: M) -> Self {
        let shared = Shared {
            template: Mutex::new(inner.clone()),
            policy,
            table: Table::new(config, first),
        };
        Self {
            inner,
            failed: None,
            shared: Arc::new(shared),
            mode,
            model: PhantomData,
        }
    }
}

impl<S, P, R, M> ConnRetry<S, P, R, M> {
    /// The inner service of this clone.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service of this clone. Replays are made with clones of the service that the layer
    /// was given, so a change is not seen by them.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service of this clone.
    pub fn into_inner(self) -> S {
        self.inner
    }

    pub(crate) fn shared(&self) -> &Arc<Shared<S, P>> {
        &self.shared
    }

    /// The links of the layer.
    pub fn links(&self) -> Links {
        Links::new(self.shared.table.clone())
    }
}

impl<S: Clone, P, R, M: Clone> Clone for ConnRetry<S, P, R, M> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            failed: None,
            shared: self.shared.clone(),
            mode: self.mode.clone(),
            model: PhantomData,
        }
    }
}

impl<S, P, R, M, Req> Service<Req> for ConnRetry<S, P, R, M>
where
    S: Service<Req> + Clone,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req>,
    R: RequestModel<Req>,
    M: Mode<Req>,
{
    type Response = S::Response;
    type Error = Error;
    type Future = ResponseFuture<S, Req, P, R, M>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.failed.is_none() {
            if let Err(error) = std::task::ready!(self.inner.poll_ready(cx)) {
                // The error of the next call's attempt, so that the policy decides about it.
                self.failed = Some(error.into());
            }
        }
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, mut request: Req) -> Self::Future {
        if self.failed.is_some() || self.mode.is_closed() {
            return self.call_unready(request);
        }
        let shared = self.shared.clone();
        let entered = shared.table.enter();
        if M::DEFERS {
            R::set_ticket(&mut request, Ticket::new(entered.id()));
        }
        let Some(id) = entered.unhindered() else {
            return self.call_in_trouble(shared, entered.id(), request);
        };
        // What `attempt` does, written out: there the request is an argument, and so moved once more. (Nor is
        // the choice of `more` a function: that takes five instructions more.)
        let state = self.mode.begin::<R>(id, Some(&request));
        let kept = R::try_clone(&request);
        let more = match kept {
            Some(_) => Rare::nothing(),
            None => Rare::with_gone::<Req, R>(&request),
        };
        ResponseFuture {
            attempt: Some(self.inner.call(request)),
            shared,
            id,
            kept,
            more,
            state,
            model: PhantomData,
        }
    }
}

impl<S, P, R, M> ConnRetry<S, P, R, M> {
    /// A call when the inner service is broken, or the outbox closed.
    #[cold]
    #[inline(never)]
    fn call_unready<Req>(&mut self, mut request: Req) -> ResponseFuture<S, Req, P, R, M>
    where
        S: Service<Req> + Clone,
        R: RequestModel<Req>,
        M: Mode<Req>,
    {
        let shared = self.shared.clone();
        let id = shared.table.enter().id();
        if M::DEFERS {
            R::set_ticket(&mut request, Ticket::new(id));
        }
        let start = match self.failed.take() {
            _ if self.mode.is_closed() => Start::Ended(Reason::Closed),
            Some(error) => Start::Failed(error),
            None => Start::Now,
        };
        self.begin(shared, id, request, start)
    }

    /// A call when some link is not open.
    #[cold]
    #[inline(never)]
    fn call_in_trouble<Req>(
        &mut self,
        shared: Arc<Shared<S, P>>,
        id: u64,
        request: Req,
    ) -> ResponseFuture<S, Req, P, R, M>
    where
        S: Service<Req> + Clone,
        S::Error: Into<BoxError>,
        P: ConnErrorPolicy<Req>,
        R: RequestModel<Req>,
        M: Mode<Req>,
    {
        let destination = R::destination(&request);
        let table = &shared.table;
        if M::DEFERS {
            // What can't be copied can't be deferred, but has its first attempt.
            let first = || self.mode.has_some_for(&destination) && R::try_clone(&request).is_some();
            if table.is_open(&destination) && !first() {
                return self.attempt(shared, id, request);
            }
            let mut future = self.begin(shared, id, request, Start::Now);
            future.defer();
            return future;
        }
        let size = R::size_hint(&request);
        let start = match table.hold(&destination, id, size, 0, None, false) {
            Hold::Open => return self.attempt(shared, id, request),
            Hold::Held(place) | Hold::Probe(place) => Start::Held(place),
            Hold::Room(room) => Start::Room(room),
            Hold::Full => Start::Ended(Reason::QueueFull),
        };
        self.begin(shared, id, request, start)
    }

    /// A call that does not begin with an attempt.
    fn begin<Req>(
        &mut self,
        shared: Arc<Shared<S, P>>,
        id: u64,
        request: Req,
        start: Start,
    ) -> ResponseFuture<S, Req, P, R, M>
    where
        S: Service<Req> + Clone,
        R: RequestModel<Req>,
        M: Mode<Req>,
    {
        // No readiness is held while waiting.
        self.inner = shared.fresh();
        let attempted = matches!(start, Start::Failed(_)).then_some(&request);
        let mut state = self.mode.begin::<R>(id, attempted);
        if attempted.is_some() {
            M::unsent(&mut state);
        }
        ResponseFuture::begun(shared, id, state, request, start)
    }

    /// The first attempt, with the caller's own readied service.
    fn attempt<Req>(
        &mut self,
        shared: Arc<Shared<S, P>>,
        id: u64,
        request: Req,
    ) -> ResponseFuture<S, Req, P, R, M>
    where
        S: Service<Req>,
        R: RequestModel<Req>,
        M: Mode<Req>,
    {
        let state = self.mode.begin::<R>(id, Some(&request));
        ResponseFuture::attempting(shared, id, state, request, |request| {
            self.inner.call(request)
        })
    }
}

impl<S: fmt::Debug, P, R, M> fmt::Debug for ConnRetry<S, P, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnRetry")
            .field("inner", &self.inner)
            .field("links", &self.links())
            .finish_non_exhaustive()
    }
}
