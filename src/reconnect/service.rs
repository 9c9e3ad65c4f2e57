use std::any::type_name;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tower_service::Service;

use super::future::ResponseFuture;
use super::shared::Shared;
use crate::BoxError;

/// A service over one connection that is made again when it is dead.
///
/// See the [module's documentation](crate::reconnect) for what it does and what it expects of the connection.
/// All clones share the connection.
pub struct Reconnect<M: Service<T>, T = ()> {
    shared: Arc<Shared<M, T>>,
}

impl<M: Service<()>> Reconnect<M> {
    /// Connects with `maker`, a service that takes `()` and responds with a connection.
    ///
    /// Nothing happens before the first call.
    pub fn new(maker: M) -> Self {
        Self::to(maker, ())
    }
}

impl<M: Service<T>, T: Clone> Reconnect<M, T> {
    /// Connects with `maker`, which is called with a clone of `target` for every attempt.
    ///
    /// Nothing happens before the first call.
    pub fn to(maker: M, target: T) -> Self {
        Self {
            shared: Arc::new(Shared::new(maker, target)),
        }
    }
}

impl<M: Service<T>, T> Reconnect<M, T> {
    /// For how long a connection is handed out. Default: for as long as it lives.
    ///
    /// The first call after that makes a new one; calls in flight on the old one finish
    /// undisturbed, and later calls may reach the peer before them. Set it where a load balancer
    /// should get a chance to choose again, or a name to be resolved again. Zero makes one for each
    /// call that finds no other at it.
    ///
    /// Holds for all clones, and for the connections that are made from now on.
    #[must_use]
    pub fn max_age(self, limit: Duration) -> Self {
        self.shared
            .set_limits(|limits| limits.max_age = Some(limit));
        self
    }

    /// A connection on which nothing was called and nothing answered for so long is not handed out
    /// again: the call makes a new one. Default: none.
    ///
    /// Middleboxes forget connections, some without a word to either end: a NAT should remember one
    /// for 2 h 4 min (RFC 5382 §5), many forget sooner, load balancers after a few minutes. Where
    /// keepalive probes don't prevent that (those of this crate's TCP client do), set this to
    /// less. It is decided at the call, without a timer: the old connection stays open until then.
    ///
    /// Holds for all clones, and for the connections that are made from now on.
    #[must_use]
    pub fn idle_timeout(self, limit: Duration) -> Self {
        self.shared
            .set_limits(|limits| limits.idle_timeout = Some(limit));
        self
    }

    /// Is a connection there, as far as is known?
    ///
    /// A connection that has died is still counted until a call finds out.
    pub fn is_connected(&self) -> bool {
        self.shared.is_connected()
    }
}

impl<M, T, Req> Service<Req> for Reconnect<M, T>
where
    M: Service<T>,
    M::Error: Into<BoxError>,
    M::Response: Service<Req> + Clone,
    <M::Response as Service<Req>>::Error: Into<BoxError>,
    T: Clone,
    Req: Send + 'static,
{
    type Response = <M::Response as Service<Req>>::Response;
    type Error = BoxError;
    type Future = ResponseFuture<M, T, Req>;

    /// Always ready: connecting, and waiting for the connection's own readiness, belong to the
    /// call.
    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let Some(mut lease) = self.shared.try_lease() else {
            return ResponseFuture::connect(&self.shared, request);
        };
        // The usual case, a connection that is ready: the request is handed over here and now, so
        // that requests reach the connection in the order of the calls. If it is not ready, the
        // future asks again, with a waker; nor does it go past others who wait for that.
        match lease
            .conn
            .poll_ready(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(Ok(())) if lease.generation.line.is_free() => {
                let future = lease.conn.call(request);
                ResponseFuture::called(future, lease.generation)
            }
            Poll::Ready(Err(error)) => {
                self.shared.fell(lease, error);
                ResponseFuture::connect(&self.shared, request)
            }
            _ => ResponseFuture::ready(&self.shared, lease, request),
        }
    }
}

impl<M: Service<T>, T> Clone for Reconnect<M, T> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<M: Service<T>, T> fmt::Debug for Reconnect<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconnect")
            .field("maker", &type_name::<M>())
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}
