//! HTTP clients: what to know about reqwest, hyper and tonic in the layer, and pieces for them.
//!
//! ```
//! # #[cfg(feature = "reqwest")] {
//! use tower::ServiceBuilder;
//! use tower_conn_retry::{Renew, RetryOnConnErr};
//!
//! let client = ServiceBuilder::new()
//!     .layer(RetryOnConnErr)
//!     .service(Renew::new(reqwest::Client::new));
//! # fn is_a_client<S: tower::Service<reqwest::Request>>(_: &S) {}
//! # is_a_client(&client);
//! # }
//! ```
//!
//! (A `use tower_conn_retry::*` hides the crate `http` behind this module: write `::http` then.)
//!
//! # The pieces
//!
//! | piece | what it is for | where |
//! |---|---|---|
//! | [`IdempotencyKeyLayer`] | POST and PATCH that the server can tell from their replays | above the retry layer |
//! | [`Idempotent`] | marks one request of which its caller knows that twice is as good as once | in its extensions |
//! | [`ReplayBodyLayer`] | streaming bodies that can be sent again | above |
//! | [`UnavailableLayer`] | a 503 that means an outage, with its `Retry-After` | below |
//! | [`Renew`](crate::Renew) | a pool full of dead connections | around the pooled client |
//! | [`connection`] | hyper's connections, HTTP/1.1 and HTTP/2, that hand an unsent request back | in a [`Reconnect`](crate::Reconnect), in place of a pooled client |
//!
//! None of them is needed. All of them, in their order:
//!
//! ```
//! # #[cfg(feature = "hyper-util")] {
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Full;
//! use hyper_util::client::legacy::Client;
//! use hyper_util::rt::TokioExecutor;
//! use tower::ServiceBuilder;
//! use tower_conn_retry::{
//!     IdempotencyKeyLayer, Renew, ReplayBodyLayer, RetryOnConnErr, UnavailableLayer,
//! };
//!
//! # type Upload = Full<Bytes>;
//! let client = ServiceBuilder::new()
//!     .layer(IdempotencyKeyLayer::new()) // all attempts of a call have one key
//!     .layer(ReplayBodyLayer::new(1 << 20)) // and one body
//!     .layer(RetryOnConnErr)
//!     .layer(UnavailableLayer::new()) // fails an attempt, and not the client below
//!     .service(Renew::new(|| Client::builder(TokioExecutor::new()).build_http()));
//! # fn is_a_client<S: tower::Service<Request<Upload>>>(_: &S) {}
//! # is_a_client(&client);
//! # }
//! ```
//!
//! **Over `https`, enable the feature of the client's TLS library, too** (`rustls`, which is reqwest's and tonic's
//! default, or `native-tls`). Without it a failed handshake is recognised, but not what has failed: a clock
//! that is not set yet looks like a wrong certificate.
//!
//! # Which requests are replayed
//!
//! One that was provably not sent, whatever its method; and one that may have been sent if it is
//! idempotent: by its method (RFC 9110 §9.2.2), by an `Idempotency-Key` header (an empty one is none),
//! by the extension [`Idempotent`], or because a [policy](crate::ConnErrorPolicy::decide) says so. (Nobody sees the
//! extensions of a `reqwest::Request`: there it takes the header, or the policy.)
//!
//! **One that is not replayed is spent if it is the probe.** It waits behind an outage as all do; when it is the
//! oldest, it is tried, and if that fails, its caller gets the error, and the next one is tried. So a long outage
//! costs one such request for each probe: every POST without a key with a reqwest that may have
//! [redirected](#redirects) it, and every body that can't be copied. What helps is a key, the client without
//! redirects and [`redirects_off`](crate::RetryOnConnErr::redirects_off), and a [`ReplayBodyLayer`].
//!
//! The forms of reqwest (`multipart`) and `Body::wrap_stream` can't be copied, not even a form that is all in
//! memory. Nor are they replayed, even if they were refused. Make the body of bytes, or send the request through a
//! [`ReplayBodyLayer`](crate::ReplayBodyLayer#reqwest).
//!
//! A `PUT` with `If-Match` is idempotent, but what comes back may surprise: if it was done and its answer lost,
//! its replay is answered with 412, though it was done once (RFC 9110 §13.1.1).
//!
//! # What is held
//!
//! [`Limits::bytes`](crate::Limits::bytes) counts URI and headers, the body of reqwest's requests if it is in
//! memory, and what a [`ReplayBodyLayer`] above keeps of any other one, or will. Of an
//! `http::Request<Full<Bytes>>` without it no byte of the body counts: have it, or bound by
//! [`Limits::requests`](crate::Limits::requests).
//!
//! A proxy that passes bodies on as they come must be able to receive the one whose turn it is, whatever the others
//! do: over HTTP/2 all uploads of a client share the window of its connection, and what waits, in an
//! outage or for its turn on an HTTP/1.1 connection, is not read, and keeps what it has of that window. With hyper's
//! default of 1 MiB, some five held uploads are enough: the probe's own body can't arrive, and all are given up.
//! Have a connection's window (`initial_connection_window_size`) that is larger than what the streams' windows
//! take together, or read the bodies before the call, as `examples/proxy.rs` does.
//!
//! # The pool
//!
//! A network that was lost for a moment leaves a pool of dead connections, and a replay finds the
//! next of them. [`Renew`](crate::renew) makes the client anew, so that it finds a fresh one (and
//! [loses its cookies](crate::renew#what-is-lost), unless they are in a jar that is shared). In
//! the tests, 50 connections were lost and one request made: without it, the request was tried on
//! each of the 50, with a pause before each; with it, twice.
//!
//! A request that is given to a connection in the moment in which that ends, on another thread, may stay
//! in hyper's channel (as of 1.12), neither sent nor handed back, and with hyper-util's pool, so in
//! reqwest too, its caller waits for ever. Under load, with a server that was restarted all the time or
//! closed its connections, that was one in some ten thousand calls, over HTTP/1.1 and HTTP/2. An
//! [`attempt_timeout`](crate::RetryOnConnErr::attempt_timeout) ends it. The [`connection`]s of this
//! crate hand such a request back.
//!
//! # HTTP/2
//!
//! One broken connection fails all the requests on it. Each is replayed once, at once, and all of
//! them on *one* new connection, as reqwest, hyper-util and [`Reconnect`](crate::Reconnect) each
//! make one at a time. If that fails, the link is down, and there is one probe at a time however
//! many wait. Where so many replays at once are too many for a server that comes back, say
//! [`in_order`](crate::RetryOnConnErr::in_order): the first goes alone, and the others follow with
//! a window that doubles. A [`budget`](crate::RetryOnConnErr::budget) bounds them, too.
//!
//! # What the clients replay by themselves
//!
//! | client | replays | at most | off |
//! |---|---|---|---|
//! | hyper-util | a request that was handed back by a reused connection that had been closed | as long as it finds such | `Builder::retry_canceled_requests(false)` |
//! | reqwest | that, and over HTTP/2 what failed with REFUSED_STREAM or GOAWAY | 2 more | `ClientBuilder::retry(reqwest::retry::never())` |
//!
//! hyper-util's is about requests that were provably not sent. **reqwest's is not**: it takes any
//! GOAWAY for proof, which below hyper it is not (see below), so that by itself, without this crate,
//! it makes the server execute a POST twice once in a while. In the tests that was 6 of 20,000,
//! with a server that closes each connection gracefully after 40 requests. Over HTTP/2, requests that must
//! not be executed twice *require* `reqwest::retry::never()`; what is provably not sent the layer
//! replays all the same.
//!
//! They multiply, too: one attempt of the layer may be three of reqwest's, without a pause. And a
//! `retry` policy of your own in reqwest replays below the layer, which then takes several attempts
//! for one, and the last one's error for that of all: a failed connect says nothing then of the
//! attempt before it, which may have been read. The layer takes it for proof only if
//! [`redirects_off`](crate::RetryOnConnErr::redirects_off) is promised; that promise includes that
//! there is no retry policy other than `never()`. Say what you want to have replayed here instead, in
//! a [policy](crate::ConnErrorPolicy).
//!
//! The same goes for a *layer* below that makes several attempts of one call. **Put `tower::retry` above this
//! layer**, unless it tries nothing again but what [could not connect](#a-virtual-address-with-a-dead-backend):
//! below, an order that was read and answered with 503, and whose second attempt is refused, is
//! taken for not sent. With hyper's clients nothing in the error tells.
//!
//! # A virtual address with a dead backend
//!
//! It refuses its share of the connects, and each of those is an outage of the link, though most requests would be
//! answered. What helps is another try of the *connect*, below the client. That is the one retry that may be below
//! this layer: without a connection nothing was sent.
//!
//! ```
//! # #[cfg(feature = "hyper-util")] {
//! use std::future::{Ready, ready};
//!
//! use bytes::Bytes;
//! use http::Uri;
//! use http_body_util::Full;
//! use hyper_util::client::legacy::{Client, connect::HttpConnector};
//! use hyper_util::rt::TokioExecutor;
//! use tower::{Layer, retry::{Policy, Retry}};
//! use tower_conn_retry::RetryOnConnErr;
//!
//! /// So many more tries of a connect, at once.
//! #[derive(Clone)]
//! struct More(u8);
//!
//! impl<Io, E> Policy<Uri, Io, E> for More {
//!     type Future = Ready<()>;
//!
//!     fn retry(&mut self, _: &mut Uri, result: &mut Result<Io, E>) -> Option<Ready<()>> {
//!         result.as_ref().err()?;
//!         self.0 = self.0.checked_sub(1)?;
//!         Some(ready(()))
//!     }
//!
//!     fn clone_request(&mut self, uri: &Uri) -> Option<Uri> {
//!         Some(uri.clone())
//!     }
//! }
//!
//! let connector = Retry::new(More(2), HttpConnector::new());
//! let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
//! let client = RetryOnConnErr.layer(client);
//! # }
//! ```
//!
//! With 200 requests a second, each on a connection of its own, and one connect in five refused, 1,103 of 4,000 were
//! answered in 20 seconds without this, and with it all, 99 of 100 within 3 ms. A probe of an address that is dead
//! altogether is three connects then. The same goes around the maker of a [`Reconnect`](crate::Reconnect). reqwest
//! lets no layer of its connectors connect a second time.
//!
//! # GOAWAY
//!
//! By RFC 9113 §6.8 a GOAWAY proves that the streams above its last were not processed. hyper (as of
//! 1.12) gives a request *any* GOAWAY that another thread reads in the moment in which the request is
//! queued, and sends the request all the same. The two can't be told apart, so with hyper-util,
//! reqwest and tonic the layer counts a request that failed with a GOAWAY as
//! [perhaps sent](crate::Error::sent) (while [`classify`](crate::classify()) goes by the protocol): what
//! is idempotent is replayed, what is not fails. With 32 POSTs at once on two threads that was one to three for each connection
//! that the server closed. The [`connection`]s of this crate run in such a way that it can't happen:
//! there a GOAWAY is proof, and nothing fails. REFUSED_STREAM is always proof, as it is about one
//! stream.
//!
//! Some servers go away after a fixed number of requests (nginx's `keepalive_requests`), and refuse those
//! that were sent too many: with 50 callers and 10 requests for each connection, 40 at a time. On this
//! crate's connections that is no outage as long as each connection takes some. The errors of the other clients do
//! not tell, so there the link is down when a request is refused twice in a row, and backs off. Behind an nginx
//! with `keepalive_requests 10`, 1,000 requests of 50 callers took less than a second through a [`connection`].
//! Through the others, with five seconds for each request, they took 45 to 90 seconds and 134 to 592 were given up;
//! with reqwest's own retries 9 to 21 seconds, and up to 30. With 100 for each connection it was a third of a
//! second at most, and none. So let a server take many more requests on a connection than there are callers
//! (nginx's default is 1,000), or use a [`connection`].
//!
//! # Redirects
//!
//! reqwest follows them by default, and nothing in its errors tells that it did. So a failed connect
//! proves nothing about the *request* (an order that was answered with a redirect to a dead host
//! was read), and an order is not replayed after it. Build the client with
//! `redirect::Policy::none()` and promise [`redirects_off`](crate::RetryOnConnErr::redirects_off),
//! or give such requests a key. The promise includes that the client does not try again by itself:
//! `retry(reqwest::retry::never())`.
//!
//! A client whose error hides reqwest's (anyhow, thiserror's `transparent`, reqwest-middleware) is
//! treated the same, as far as hyper-util's error shows below. Of tower-http's `FollowRedirect`
//! between the layer and a client nothing shows in the error. Put it above the layer, as `tower::retry`, so that
//! each hop is a call of its own; or wrap the request in a type of yours whose
//! [`Replayable::may_redirect`](crate::Replayable::may_redirect) is true.
//!
//! # Timeouts
//!
//! A silent server is a connection error only where a timeout *fails*: an
//! [`attempt_timeout`](crate::RetryOnConnErr::attempt_timeout), `tower::timeout` below, the client's own.
//! tower-http's `TimeoutLayer` *answers*, with 408 or 504: below this layer, it hides the silence. Have an
//! [`UnavailableLayer`] with these [`statuses`](UnavailableLayer::statuses) between, or one of the others.
//!
//! A timeout alone leaves no HTTP/2 connection: the replays go to the same one, which may be as silent as before.
//! Have hyper's `keep_alive_interval` and `keep_alive_timeout` (reqwest: `http2_keep_alive_interval`), or
//! [`Renew`](crate::Renew) with a timeout longer than its [`suspect_after`](crate::Renew::suspect_after).
//!
//! reqwest's `timeout` bounds an attempt, each one anew. What bounds the call is
//! [`give_up_after`](crate::RetryOnConnErr::give_up_after).
//!
//! # Slow paths
//!
//! A link is a whole host, and a probe has got through when the head of its answer is there. So a path that takes
//! long by nature (a long poll, a stream of requests to tonic) keeps all the others of its host waiting when it is
//! the oldest that is held: until its answer begins, though the server is back, or until it or they are given up.
//! Behind several of them the backlog drains slowly, too. Give such paths a layer of their own, and so links of
//! their own. Several layers may share one client.
//!
//! A timeout says that the host is silent. Where one ([`attempt_timeout`](crate::RetryOnConnErr::attempt_timeout),
//! reqwest's `timeout`, tonic's `set_timeout`) is shorter than the time that one path takes, a request for that
//! path, once it is the probe, holds up all the others until it is given up. The same goes for a redirect to a dead
//! host. Have a longer timeout, a layer of their own, or a [policy](crate::ConnErrorPolicy::classify) for which such
//! a timeout is not about the connection.
//!
//! # After the head
//!
//! A call ends with the head of the answer. A connection that breaks later fails the *body*, with
//! an error of the client; nobody replays that, as part of it has been given away. Ask
//! [`is_conn_error`](crate::is_conn_error) about it and call again, with a `Range` where that
//! helps.
//!
//! # Expect: 100-continue
//!
//! hyper's clients send the header if you set it, and then the body without waiting. So a request
//! with it counts as any other: once its head is on the way, it may have been sent.
//!
//! # Proxies
//!
//! What a forward proxy answers to an `http://` request is an answer, a 502 included. A tunnel
//! (CONNECT) that is refused is a failed connect: nothing was sent, and waiting is taken to help. Only a
//! missing or wrong password (407) fails at once, as long as the destination has never worked. The
//! destination is the server's either way, though it may be the proxy that is down.
//!
//! # gRPC: tonic
//!
//! Every call is a POST, so what may have been sent is replayed only if the caller says that it may:
//! put [`Idempotent`] into the `extensions_mut()` of the `tonic::Request`, set the metadata
//! `idempotency-key` if the server honours it, or have a policy whose
//! [`decide`](crate::ConnErrorPolicy::decide) knows the paths (`/package.Service/Method`).
//!
//! tonic's body can't be copied, and its channel hands no request back. So put a [`ReplayBodyLayer`]
//! above the layer, and make tonic's body of its again below:
//!
//! ```
//! # #[cfg(feature = "tonic")] {
//! use tonic::Status;
//! use tonic::body::Body;
//! use tonic::transport::Channel;
//! use tower::ServiceBuilder;
//! use tower_conn_retry::{ReplayBodyLayer, RetryOnConnErr};
//!
//! # fn wrap(channel: Channel) {
//! let channel = ServiceBuilder::new()
//!     .map_err(Status::from)
//!     .layer(ReplayBodyLayer::new(1 << 20)) // up to 1 MiB of what a call sends
//!     .layer(RetryOnConnErr)
//!     .map_request(|request: http::Request<_>| request.map(Body::new))
//!     .service(channel);
//! // let client = EchoClient::new(channel);
//! # fn is_a_channel<T: tonic::client::GrpcService<Body>>(_: &T) {}
//! # is_a_channel(&channel);
//! # }
//! # }
//! ```
//!
//! The generated clients turn an error into a `tonic::Status`. With `.map_err(Status::from)` it has
//! the right code, and the [`Error`](crate::Error) as its source.
//!
//! | call | connection lost before the head of the answer | after it |
//! |---|---|---|
//! | one message | replayed | a `Status` (`Unknown`) that [`is_conn_error`](crate::is_conn_error) recognises |
//! | stream of requests | replayed from its start, then it goes on; if more than the cap was read, it fails | it fails |
//! | stream of answers | replayed | the stream ends with a `Status` that [`is_conn_error`](crate::is_conn_error) recognises |
//! | both | as a stream of requests | as a stream of answers |
//!
//! A stream is read as it is sent, and only one attempt at a time reads it: a conversation does not
//! have to end before it is sent, and no half of one is taken for a whole. While a call is held nobody
//! reads its stream. After a GOAWAY the streams that the server has taken go on, and new calls have a new
//! connection. Once the answer has begun, nothing more is kept.
//!
//! A deadline of the call (`tonic::Request::set_timeout`) is one of each attempt for tonic's channel;
//! what bounds the call is [`give_up_after`](crate::RetryOnConnErr::give_up_after).
//!
//! All calls through a channel are to one [destination](crate::Destination), "the peer", as their URIs have no host.
//! With several endpoints (`Channel::balance_list`) and one of them dead, the channel fails some of the calls, and
//! each of these is an outage to the link. As with [a virtual address](#a-virtual-address-with-a-dead-backend), what
//! was not even connected may be tried again below the layer, and that alone:
//!
//! ```
//! # #[cfg(feature = "tonic")] {
//! use std::error::Error;
//! use std::future::{Ready, ready};
//!
//! use http::Request;
//! use tonic::Status;
//! use tonic::body::Body;
//! use tonic::transport::Channel;
//! use tower::{ServiceBuilder, retry::Policy};
//! use tower_conn_retry::{ReplayBodyLayer, RetryOnConnErr};
//!
//! /// So many more tries, at once, of what could not connect.
//! #[derive(Clone)]
//! struct More(u8);
//!
//! fn could_not_connect(error: &(dyn Error + 'static)) -> bool {
//!     error.is::<tonic::ConnectError>() || error.source().is_some_and(could_not_connect)
//! }
//!
//! impl<B: Clone, Res> Policy<Request<B>, Res, tonic::transport::Error> for More {
//!     type Future = Ready<()>;
//!
//!     fn retry(
//!         &mut self,
//!         _: &mut Request<B>,
//!         result: &mut Result<Res, tonic::transport::Error>,
//!     ) -> Option<Ready<()>> {
//!         result.as_ref().err().filter(|error| could_not_connect(*error))?;
//!         self.0 = self.0.checked_sub(1)?;
//!         Some(ready(()))
//!     }
//!
//!     fn clone_request(&mut self, request: &Request<B>) -> Option<Request<B>> {
//!         Some(request.clone())
//!     }
//! }
//!
//! # fn wrap(channel: Channel) {
//! let channel = ServiceBuilder::new()
//!     .map_err(Status::from)
//!     .layer(ReplayBodyLayer::new(1 << 20))
//!     .layer(RetryOnConnErr)
//!     .retry(More(5))
//!     .map_request(|request: Request<_>| request.map(Body::new))
//!     .service(channel);
//! # fn is_a_channel<T: tonic::client::GrpcService<Body>>(_: &T) {}
//! # is_a_channel(&channel);
//! # }
//! # }
//! ```

// Links to `connection` lead nowhere without it.
#![cfg_attr(not(feature = "hyper-conn"), allow(rustdoc::broken_intra_doc_links))]

#[cfg(feature = "hyper-conn")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper-conn")))]
pub mod connection;
mod idempotency_key;
mod idempotent;
mod replay_body;
mod unavailable;

pub(crate) use idempotency_key::has_key;
pub use idempotency_key::{IdempotencyKeyLayer, IdempotencyKeyService, KeyedRequest};
pub use idempotent::Idempotent;
pub(crate) use replay_body::Recording;
pub use replay_body::{ReplayBody, ReplayBodyError, ReplayBodyLayer, ReplayBodyService};
pub use unavailable::{
    HasStatus, Unavailable, UnavailableFuture, UnavailableLayer, UnavailableService,
};
