use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tower::retry::budget::Budget;
use tower_layer::Layer;
use tower_service::Service;

#[cfg(feature = "http")]
use crate::ByReturn;
use crate::config::Config;
use crate::{
    Backoff, BoxError, ByClone, ByTrait, ConnErrorPolicy, ConnRetry, DefaultPolicy, Inline, Limits,
    Observer, Outbox, RequestModel, WhenFull,
};

/// A layer that holds the requests that failed because of the connection, and replays them in order
/// when it is back.
///
/// ```
/// use std::time::Duration;
/// use tower::ServiceBuilder;
/// use tower_conn_retry::RetryOnConnErr;
///
/// # fn wrap<S: Clone>(client: S) {
/// // As it comes:
/// let service = ServiceBuilder::new().layer(RetryOnConnErr).service(client);
/// # }
/// # fn wrap_more<S: Clone>(client: S) {
/// // With settings:
/// let layer = RetryOnConnErr::new()
///     .attempt_timeout(Duration::from_secs(10))
///     .give_up_after(Duration::from_secs(600));
/// let service = ServiceBuilder::new().layer(layer).service(client);
/// # let _: tower_conn_retry::ConnRetry<S> = service;
/// # }
/// ```
///
/// **Build it once and clone it: the clones share what is known of the links; one made for each call
/// shares nothing.** Each use of the layer has links of its own.
pub struct RetryOnConnErr<P = DefaultPolicy, R = ByTrait, M = Inline> {
    policy: Shared<P>,
    config: Config,
    mode: M,
    model: PhantomData<fn() -> R>,
}

/// The layer with all its defaults, so that `.layer(RetryOnConnErr)` says what it does.
#[allow(non_upper_case_globals)]
pub const RetryOnConnErr: RetryOnConnErr = RetryOnConnErr::new();

/// A policy that need not be `Clone`, and that a constant can hold.
enum Shared<P> {
    Later(fn() -> P),
    Now(Arc<P>),
}

impl RetryOnConnErr {
    /// The layer with all its defaults.
    pub const fn new() -> Self {
        Self {
            policy: Shared::Later(DefaultPolicy::new),
            config: Config::new(),
            mode: Inline,
            model: PhantomData,
        }
    }
}

impl Default for RetryOnConnErr {
    fn default() -> Self {
        Self::new()
    }
}

impl<P, R, M> RetryOnConnErr<P, R, M> {
    /// Decides what a connection error is and what is done about it. Default: [`DefaultPolicy`].
    #[must_use]
    pub fn policy<P2>(self, policy: P2) -> RetryOnConnErr<P2, R, M> {
        RetryOnConnErr {
            policy: Shared::Now(Arc::new(policy)),
            config: self.config,
            mode: self.mode,
            model: PhantomData,
        }
    }

    /// Takes the requests for what `Clone` makes of them: every one can be copied, is idempotent,
    /// and goes to the one peer. Default: [`Replayable`](crate::Replayable) says so.
    ///
    /// Not for HTTP: a POST that may have been sent would be replayed. Enable the features `http` or `reqwest`.
    #[must_use]
    pub fn clone_requests(self) -> RetryOnConnErr<P, ByClone, M> {
        RetryOnConnErr {
            policy: self.policy,
            config: self.config,
            mode: self.mode,
            model: PhantomData,
        }
    }

    /// Never copies a request, whose body need not be `Clone` then: HTTP requests that are replayed
    /// only if an error hands them back ([`Unsent`](crate::Unsent)), as those of the HTTP
    /// [connections](https://docs.rs/tower-conn-retry/latest/tower_conn_retry/http/connection/) do. Default:
    /// [`Replayable`](crate::Replayable) copies them.
    ///
    /// A request that may have been sent is never replayed then, whatever its method, with
    /// [`Reason::NotReplayable`](crate::Reason::NotReplayable).
    #[cfg(feature = "http")]
    #[cfg_attr(docsrs, doc(cfg(feature = "http")))]
    #[must_use]
    pub fn never_copy(self) -> RetryOnConnErr<P, ByReturn, M> {
        RetryOnConnErr {
            policy: self.policy,
            config: self.config,
            mode: self.mode,
            model: PhantomData,
        }
    }

    /// The delays between probes. Default: [`ExponentialBackoff`](crate::ExponentialBackoff).
    #[must_use]
    pub fn backoff(mut self, backoff: impl Backoff) -> Self {
        self.config.backoff = Some(Arc::new(backoff));
        self
    }

    /// Pays for the immediate replays after one broken connection; where it does not, the request
    /// waits for a probe instead. Default: they cost nothing.
    #[must_use]
    pub fn budget(mut self, budget: impl Budget + Send + Sync + 'static) -> Self {
        self.config.budget = Some(Arc::new(budget));
        self
    }

    /// The longest time of one attempt, the inner service's readiness for a replay included.
    /// Default: none.
    ///
    /// A link that has gone silent is only noticed by a timeout: this one, or one below that fails, such as
    /// TCP_USER_TIMEOUT or `tower::timeout`. (tower-http's `TimeoutLayer` answers, with 408 or 504, which
    /// is no connection error; `UnavailableLayer::statuses` between makes one of it.) With zero, an attempt
    /// has to be ready at its first poll.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.config.attempt_timeout = Some(timeout);
        self
    }

    /// How long a call may take in all, waiting and attempts in flight included. Default: 3 min.
    /// (A client's own timeout, such as reqwest's `timeout`, bounds each attempt anew.)
    ///
    /// The time starts when the call's future is first polled. With zero, a request is never held,
    /// and an attempt has to be ready at its first poll. Nor is a link that is down probed then, since probes
    /// are made by who waits for one.
    #[must_use]
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.config.give_up_after = Some(time);
        self
    }

    /// Holds requests without a limit in time.
    #[must_use]
    pub fn never_give_up(mut self) -> Self {
        self.config.give_up_after = None;
        self
    }

    /// How many attempts a request gets at most, the first one included. Default: no limit but that
    /// in time. Zero counts as 1: the first attempt is always made.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.config.max_attempts = attempts;
        self
    }

    /// How much is held for all links together. Default: [`Limits::new`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.config.limits = limits;
        self
    }

    /// What happens to a request that has to wait when the limits are reached. Default:
    /// [`WhenFull::Reject`].
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.config.when_full = when_full;
        self
    }

    /// Keeps the order of the calls even where just one connection broke.
    ///
    /// By default each request that broke with a connection is replayed at once, side by side with
    /// the others and with new calls: quick, but several that were in flight together may overtake
    /// each other. With this, such a break is an outage of 20 ms in which they get into line, and
    /// then they are replayed one after the other, before all new calls. For services that pipeline
    /// their requests to one peer, such as `tcp::Client` in a [`Reconnect`](crate::Reconnect).
    ///
    /// Nobody passes the head of the backlog then, not even if its replays break every connection:
    /// such a request holds up all others until it gives up. What the peer gets twice is not in
    /// order, of course.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.config.in_order = true;
        self
    }

    /// Replays after [`Permanent`](crate::Outlook::Permanent) errors too: for a client that starts
    /// before its peer's name or certificate is there.
    #[must_use]
    pub fn persist_through_permanent(mut self) -> Self {
        self.config.persist = true;
        self
    }

    /// Promises that the wrapped client follows no redirects, and does not try again by itself what may
    /// have been sent. Then its failed connect proves that the request was not sent, and requests that
    /// are not idempotent are replayed after it.
    ///
    /// reqwest: built with `redirect::Policy::none()`, and without a retry policy other than
    /// `retry::never()`. With one of its own, the order that the server has read is tried again by
    /// reqwest, fails to connect, and that failure is all that the layer hears. (Over HTTP/2 that is
    /// so of reqwest's [default](https://docs.rs/tower-conn-retry/latest/tower_conn_retry/http/#what-the-clients-replay-by-themselves), too.) The promise
    /// includes every layer below: none makes several attempts of one call. `tower::retry` goes above.
    ///
    /// Only needed where something may redirect: with reqwest, with requests that say
    /// [so](crate::Replayable::may_redirect), and where hyper-util's error is below one of a type that
    /// nothing is known about, as in clients that are made of it (and in an error enum of your own).
    #[must_use]
    pub fn redirects_off(mut self) -> Self {
        self.config.redirects_off = true;
        self
    }

    /// Has an [`Outbox`] own the requests that have to wait. Default: their callers do.
    ///
    /// A call makes its first attempt as ever. Where it would have to wait for its link, or behind messages that
    /// are not answered yet, the outbox takes it, and the call ends with an [`Error`](crate::Error) that
    /// [`is_deferred`](crate::Error::is_deferred). `give_up_after` and `limits` do not apply to what
    /// the outbox owns, with one exception: if there is no `attempt_timeout`, its attempts last no
    /// longer than `give_up_after`.
    #[must_use]
    pub fn outbox<Req>(self, outbox: Outbox<Req>) -> RetryOnConnErr<P, R, Outbox<Req>> {
        RetryOnConnErr {
            policy: self.policy,
            config: self.config,
            mode: outbox,
            model: PhantomData,
        }
    }

    /// Sets the observer, which is told what happens. Default: none.
    #[must_use]
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.config.observer = Some(Arc::new(observer));
        self
    }
}

impl<S: Clone, P, R> Layer<S> for RetryOnConnErr<P, R, Inline> {
    type Service = ConnRetry<S, P, R, Inline>;

    fn layer(&self, inner: S) -> Self::Service {
        ConnRetry::new(inner, self.policy.get(), self.config.clone(), 0, Inline)
    }
}

/// # Panics
///
/// Outside of a tokio runtime, and if the outbox was given to another service before.
impl<S, P, R, Req> Layer<S> for RetryOnConnErr<P, R, Outbox<Req>>
where
    S: Service<Req> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    P: ConnErrorPolicy<Req> + 'static,
    R: RequestModel<Req> + 'static,
    Req: Send + 'static,
{
    type Service = ConnRetry<S, P, R, Outbox<Req>>;

    fn layer(&self, inner: S) -> Self::Service {
        let outbox = &self.mode;
        let first = outbox.first().get();
        let policy = self.policy.get();
        let service = ConnRetry::new(inner, policy, self.config.clone(), first, outbox.clone());
        outbox.attach::<S, P, R>(service.shared());
        service
    }
}

impl<P> Shared<P> {
    fn get(&self) -> Arc<P> {
        match self {
            Self::Later(make) => Arc::new(make()),
            Self::Now(policy) => policy.clone(),
        }
    }
}

impl<P, R, M: Clone> Clone for RetryOnConnErr<P, R, M> {
    fn clone(&self) -> Self {
        Self {
            policy: match &self.policy {
                Shared::Later(make) => Shared::Later(*make),
                Shared::Now(policy) => Shared::Now(policy.clone()),
            },
            config: self.config.clone(),
            mode: self.mode.clone(),
            model: PhantomData,
        }
    }
}

impl<P, R, M> fmt::Debug for RetryOnConnErr<P, R, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryOnConnErr")
            .field("policy", &std::any::type_name::<P>())
            .field("attempt_timeout", &self.config.attempt_timeout)
            .field("give_up_after", &self.config.give_up_after)
            .field("max_attempts", &self.config.max_attempts)
            .field("limits", &self.config.limits)
            .field("when_full", &self.config.when_full)
            .finish_non_exhaustive()
    }
}
