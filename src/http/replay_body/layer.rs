use std::task::{Context, Poll};

use http::Request;
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::ReplayBody;

/// Makes streaming request bodies replayable: a `Request<B>` becomes a `Request<ReplayBody<B>>`,
/// whose body is kept as it goes out. It belongs outside of
/// [`RetryOnConnErr`](struct@crate::RetryOnConnErr).
///
/// ```
/// use bytes::Bytes;
/// use http::{Request, Response};
/// use http_body_util::Empty;
/// use tower::{Service, ServiceBuilder};
/// use tower_conn_retry::{BoxError, ReplayBody, ReplayBodyLayer, RetryOnConnErr};
///
/// # fn wrap<C>(client: C)
/// # where C: Service<Request<ReplayBody<Empty<Bytes>>>, Response = Response<()>, Error = BoxError> + Clone {
/// let service = ServiceBuilder::new()
///     .layer(ReplayBodyLayer::new(1 << 20)) // up to 1 MiB of each body
///     .layer(RetryOnConnErr)
///     .service(client); // takes a `Request<ReplayBody<B>>`, as hyper-util's client does
/// # let _: &dyn Service<Request<Empty<Bytes>>, Response = _, Error = _, Future = _> = &service;
/// # }
/// ```
///
/// # A body that is too large
///
/// It is sent as if the layer were not there. A failure before anything of it was read is replayed,
/// whatever its size. After a later one there is no replay, and the caller gets the error with
/// [`Reason::NotReplayable`](crate::Reason::NotReplayable): [`ReplayBody`] tells the request by its
/// extensions, which [`Replayable`](crate::Replayable) for `http::Request` asks before another
/// attempt is made.
///
/// With [`.clone_requests()`](crate::RetryOnConnErr::clone_requests) nobody asks the request: the head
/// of another attempt is sent, and its body ends with an error.
///
/// # A body that waits
///
/// While a request is held, nobody reads its body. Whoever writes to it has to wait as long, and where bodies come
/// in over one HTTP/2 connection, those that wait may [keep the others from coming](crate::http#what-is-held).
///
/// # Length and trailers
///
/// A replay announces the length that the first attempt did. If that had none (HTTP/1.1: `chunked`)
/// and the body was read to its end meanwhile, a replay announces its length; not if it has trailers,
/// for which there is no place then. A body that turns out longer or shorter than it has said is not replayed.
///
/// # `Expect: 100-continue`
///
/// hyper's clients, and those made with them, don't wait for the `100` before they send the body:
/// with the header or without, a body that was begun is kept and replayed as any other one.
///
/// # reqwest
///
/// A `reqwest::Request` whose body is a stream (`Body::wrap_stream`) or a multipart form can't be copied, not
/// even a form that is all in memory. Use `http::Request` above, and turn it into reqwest's below. What
/// reqwest's own builder makes becomes one by `http::Request::<reqwest::Body>::try_from(request)?`.
///
/// ```
/// # #[cfg(feature = "reqwest")] {
/// use bytes::Bytes;
/// use http::Request;
/// use http_body_util::Full;
/// use tower::ServiceBuilder;
/// use tower_conn_retry::{BoxError, ReplayBody, ReplayBodyLayer, RetryOnConnErr};
///
/// # fn client() -> Result<(), BoxError> {
/// # type Upload = Full<Bytes>; // or a `reqwest::Body`
/// let client = reqwest::Client::builder()
///     .redirect(reqwest::redirect::Policy::none())
///     .retry(reqwest::retry::never())
///     .build()?;
/// let service = ServiceBuilder::new()
///     .layer(ReplayBodyLayer::new(1 << 20))
///     .layer(RetryOnConnErr::new().redirects_off()) // a promise that is kept above
///     .service_fn(move |request: Request<ReplayBody<Upload>>| {
///         let client = client.clone();
///         async move {
///             let request = request.map(reqwest::Body::wrap);
///             client.execute(request.try_into()?).await
///         }
///     });
/// # let _: &dyn tower::Service<Request<Upload>, Response = _, Error = _, Future = _> = &service;
/// # Ok(()) }
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ReplayBodyLayer {
    max_bytes: usize,
}

impl ReplayBodyLayer {
    /// Keeps up to `max_bytes` of each body: its data, and the names and values of its trailers. What
    /// is needed to keep them comes on top (32 bytes for each frame, and room for as many
    /// again), and a `Bytes` keeps the
    /// whole buffer that it is a part of.
    ///
    /// With zero, only failures before the body was read are replayed.
    pub const fn new(max_bytes: usize) -> Self {
        Self { max_bytes }
    }
}

impl<S> Layer<S> for ReplayBodyLayer {
    type Service = ReplayBodyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        let max_bytes = self.max_bytes;
        ReplayBodyService { inner, max_bytes }
    }
}

/// The service that [`ReplayBodyLayer`] makes.
#[derive(Debug, Clone)]
pub struct ReplayBodyService<S> {
    inner: S,
    max_bytes: usize,
}

impl<S, B> Service<Request<B>> for ReplayBodyService<S>
where
    S: Service<Request<ReplayBody<B>>>,
    B: Body,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> S::Future {
        let mut request = request.map(|body| ReplayBody::new(body, self.max_bytes));
        let recording = request.body().recording();
        request.extensions_mut().insert(recording);
        self.inner.call(request)
    }
}
