#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(unix), forbid(unsafe_code))]
//! A tower layer that keeps messages from being lost when a connection breaks.
//!
//! [`RetryOnConnErr`](struct@crate::RetryOnConnErr) wraps any tower service. It recognises *connection* errors, holds the requests
//! that failed, probes with one of them, and replays all of them in order when the connection is
//! back.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), tower_conn_retry::BoxError> {
//! use std::io;
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! use tower_conn_retry::RetryOnConnErr;
//!
//! # let down = std::sync::Arc::new(std::sync::Mutex::new(3));
//! // Any service; this one's server is away for the first few attempts.
//! let client = service_fn(move |message: String| {
//! #   let down = down.clone();
//!     async move {
//! #       let mut down = down.lock().unwrap();
//! #       *down -= 1;
//!         if *down > 0 {
//!             return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
//!         }
//!         Ok(format!("got {message}"))
//!     }
//! });
//!
//! let client = ServiceBuilder::new().layer(RetryOnConnErr).service(client); // once
//! assert_eq!(client.clone().oneshot("hello".into()).await?, "got hello"); // for each call
//! # Ok(())
//! # }
//! ```
//!
//! **Build it once and clone it: the clones share what is known of the links; one made for each call
//! shares nothing.**
//!
//! # The words
//!
//! | word | meaning |
//! |---|---|
//! | connection error | an error about the path to the peer, not about the request or the answer: [`classify`](crate::classify()) |
//! | [sent](Sent) | evidence whether the peer may have seen the request: `No` is proved |
//! | [outlook](Outlook) | `Transient`, waiting can help, or `Permanent` |
//! | [destination](Destination) | what fails together: the one peer of a TCP client; scheme and authority for HTTP |
//! | link | the shared state of one destination: up or down, with its backlog |
//! | probe | the single attempt that is allowed to a destination that is down |
//! | backlog | the requests that are held for a link, oldest first |
//! | replay | another attempt with the same request |
//!
//! # What happens to a request
//!
//! 1. While all links are up, a call is an attempt of the wrapped service and the copy of the
//!    request.
//! 2. If the attempt fails, the [policy](ConnErrorPolicy) says whether that is a connection error.
//!    If not, the error is passed through.
//! 3. If it is, and the request may be replayed (by default: waiting can help, it can be copied, and
//!    it was provably not sent or is idempotent), it depends on what broke. If just one connection did, it is
//!    replayed once, immediately (and again where that connection is known to have ended well, with other
//!    requests that it has taken). If that fails too, or the error is about the peer or the path, the
//!    link goes down and the request joins the backlog. If it may not be replayed, the caller gets an
//!    [`Error`] with its [`Reason`].
//! 4. While the link is down, the oldest request of the backlog is the probe, after each delay of
//!    the [`Backoff`]. New calls join the backlog without an attempt of their own.
//! 5. When a probe gets through, the backlog drains in order: one request, then two at a time, four,
//!    and so on. New calls go directly again when it is empty.
//!
//! # Settings that matter
//!
//! - [`attempt_timeout`](RetryOnConnErr::attempt_timeout): none by default. A link that has gone
//!   silent is only noticed by a timeout.
//! - [`give_up_after`](RetryOnConnErr::give_up_after): 3 minutes by default.
//! - [`limits`](RetryOnConnErr::limits) and [`when_full`](RetryOnConnErr::when_full): 10,000
//!   requests and 64 MiB by default, and an error for what is more.
//! - `Links::wake_on_network_change`, with the feature `wake`: probes as soon as the system says that
//!   the network is back, instead of after the rest of the backoff.
//!
//! # Where it goes in a stack
//!
//! Outside of what belongs to one attempt (a timeout, authentication that is signed anew, a
//! concurrency limit), inside of what belongs to the call. A service below that turns connection
//! errors into answers hides them from the layer.
//!
//! `tower::retry` goes *above*, and so does whatever else may make several attempts of one call
//! (tower-http's `FollowRedirect`): below, the layer hears of the last attempt only. If the server has
//! read the first, and the second is refused, it takes the request for not sent.
//!
//! A `tower::buffer::Buffer` below is dead for good once the `poll_ready` of its service has failed: every
//! probe finds the same error, with [`never_give_up`](RetryOnConnErr::never_give_up) for ever. Put it
//! above, have a [`Reconnect`] inside of it, whose `poll_ready` does not fail for a broken connection, or a
//! [`Renew`] around it, which makes another one.
//!
//! # Cost
//!
//! While all links are up, a call adds one atomic operation, one clone of an `Arc`, and the copy of
//! the request: no lock, no allocation, no clone of the service. An attempt that has to wait also has one timer, unless neither
//! [`give_up_after`](RetryOnConnErr::give_up_after) nor
//! [`attempt_timeout`](RetryOnConnErr::attempt_timeout) limits it. After a success the layer
//! remembers that the destination works, by
//! [`destination_hash`](Replayable::destination_hash): free for the one peer.

mod backoff;
pub mod classify;
mod config;
mod error;
mod future;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub mod http;
mod layer;
mod link;
mod mode;
mod observe;
pub mod outbox;
mod policy;
pub mod reconnect;
pub mod renew;
mod request;
#[cfg(all(test, shuttle))]
mod schedules;
mod service;
mod sync;
#[cfg(feature = "tcp")]
#[cfg_attr(docsrs, doc(cfg(feature = "tcp")))]
pub mod tcp;

#[cfg(feature = "backoff")]
pub use backoff::FromBackoff;
pub use backoff::{Backoff, ExponentialBackoff};
pub use classify::{ConnError, ConnErrorKind, Outlook, Sent, classify, is_conn_error};
pub use error::{AttemptTimeout, Error, FailedAttempt, Reason};
pub use future::ResponseFuture;
#[cfg(feature = "http")]
pub use http::{
    HasStatus, IdempotencyKeyLayer, IdempotencyKeyService, KeyedRequest, ReplayBody,
    ReplayBodyError, ReplayBodyLayer, ReplayBodyService, Unavailable, UnavailableFuture,
    UnavailableLayer, UnavailableService,
};
pub use layer::RetryOnConnErr;
#[cfg(feature = "wake")]
pub use link::NetworkWatch;
pub use link::{Limits, LinkStatus, Links, LinksSummary, WhenFull};
pub use mode::{Inline, Mode};
#[cfg(feature = "metrics")]
pub use observe::MetricsObserver;
pub use observe::Observer;
#[cfg(feature = "tracing")]
pub use observe::TracingObserver;
pub use outbox::{
    Codec, DeadLetter, Outbox, OutboxBuilder, OutboxError, OutboxErrorKind, Outcome, Receipt,
    Ticket,
};
pub use policy::{ConnErrorPolicy, Decision, DefaultPolicy, Failure, PolicyFn, policy_fn};
pub use reconnect::Reconnect;
pub use renew::Renew;
#[cfg(feature = "http")]
pub use request::ByReturn;
#[doc(hidden)]
pub use request::Spelling;
pub use request::{
    ByClone, ByTrait, ConnectError, Destination, NotSent, Replayable, RequestModel, Unsent,
};
pub use service::ConnRetry;

/// A boxed error, as everywhere in tower.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
struct Readme;
