use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Method};
use tower_layer::Layer;
use tower_service::Service;

use super::{IDEMPOTENCY_KEY, has_key, key};

/// Gives requests that are not idempotent an `Idempotency-Key` header, so that they can be replayed.
/// It belongs outside of [`RetryOnConnErr`](struct@crate::RetryOnConnErr), so that all attempts
/// carry the same key.
///
/// **Only for servers that honour the header**, which is to say: do a request with a key that they
/// have seen no second time. To any other one, it is the permission to do it twice.
///
/// ```
/// use tower::ServiceBuilder;
/// use tower_conn_retry::{IdempotencyKeyLayer, RetryOnConnErr};
///
/// # fn wrap<S: Clone>(client: S) {
/// let service = ServiceBuilder::new()
///     .layer(IdempotencyKeyLayer::new())
///     .layer(RetryOnConnErr)
///     .service(client); // of `http::Request`s, or reqwest's
/// # }
/// ```
///
/// # Which requests
///
/// `POST` and `PATCH`, unless they have a key already (an empty one, `""` too, is none): the methods that
/// the draft is for. Those that are idempotent by themselves (RFC 9110 §9.2.2) need none. `CONNECT` and methods that RFC 9110
/// does not know get none, since what a server does with a key there is not known either; for those,
/// set the header yourself.
///
/// # The key
///
/// Unique for each call: a random UUID in quotes, as draft-ietf-httpapi-idempotency-key-header-07 has
/// it (§2.1, §2.2). (No RFC has come of the draft so far.) Unique is all it is; it is not made to be
/// hard to guess. Two calls have two keys: to make the *caller's* repetition harmless too, the caller
/// has to set the key.
///
/// A server that is still at work on the first attempt may answer a replay with 409 (§2.7). That is an
/// answer as any other one.
#[derive(Clone)]
pub struct IdempotencyKeyLayer {
    key: Arc<dyn Fn() -> HeaderValue + Send + Sync>,
}

impl IdempotencyKeyLayer {
    /// Random keys.
    pub fn new() -> Self {
        Self::with(key::random)
    }

    /// Other keys: `key` is called for each request that needs one. For servers that want another
    /// form of it, such as one without quotes.
    #[must_use]
    pub fn key(self, key: impl Fn() -> HeaderValue + Send + Sync + 'static) -> Self {
        Self::with(key)
    }

    fn with(key: impl Fn() -> HeaderValue + Send + Sync + 'static) -> Self {
        Self { key: Arc::new(key) }
    }
}

impl Default for IdempotencyKeyLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for IdempotencyKeyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyKeyLayer")
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for IdempotencyKeyLayer {
    type Service = IdempotencyKeyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let layer = self.clone();
        IdempotencyKeyService { inner, layer }
    }
}

/// The service that [`IdempotencyKeyLayer`] makes.
#[derive(Debug, Clone)]
pub struct IdempotencyKeyService<S> {
    inner: S,
    layer: IdempotencyKeyLayer,
}

impl<S, Req> Service<Req> for IdempotencyKeyService<S>
where
    S: Service<Req>,
    Req: KeyedRequest,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Req) -> S::Future {
        let needs_one = matches!(*request.method_ref(), Method::POST | Method::PATCH);
        if needs_one && !has_key(request.headers_ref()) {
            let key = (self.layer.key)();
            request.headers_mut_ref().insert(IDEMPOTENCY_KEY, key);
        }
        self.inner.call(request)
    }
}

/// A request with a method and headers: `http::Request`, or reqwest's. Sealed.
pub trait KeyedRequest: sealed::Sealed {
    #[doc(hidden)]
    fn method_ref(&self) -> &Method;
    #[doc(hidden)]
    fn headers_ref(&self) -> &HeaderMap;
    #[doc(hidden)]
    fn headers_mut_ref(&mut self) -> &mut HeaderMap;
}

macro_rules! keyed {
    ($it:ty $(, $body:ident)?) => {
        impl$(<$body>)? KeyedRequest for $it {
            fn method_ref(&self) -> &Method {
                self.method()
            }

            fn headers_ref(&self) -> &HeaderMap {
                self.headers()
            }

            fn headers_mut_ref(&mut self) -> &mut HeaderMap {
                self.headers_mut()
            }
        }

        impl$(<$body>)? sealed::Sealed for $it {}
    };
}

keyed!(http::Request<B>, B);
#[cfg(feature = "reqwest")]
keyed!(reqwest::Request);
#[cfg(feature = "reqwest-0-12")]
keyed!(reqwest_0_12::Request);

mod sealed {
    pub trait Sealed {}
}
