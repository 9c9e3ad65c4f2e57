//! A service over one connection, which is made again when it is dead.
//!
//! Pooled clients (reqwest, hyper-util, tonic) reconnect by themselves. For a service that *is* one
//! connection, [`Reconnect`] makes a new one from a `Service<T>` that connects, whenever a call
//! finds none.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_conn_retry::BoxError> {
//! use std::convert::Infallible;
//! use tower::{Service, ServiceExt, service_fn};
//! use tower_conn_retry::Reconnect;
//!
//! // Responds with a connection; a real one would dial here.
//! let maker = service_fn(|_: ()| async {
//!     Ok::<_, Infallible>(service_fn(|name: &'static str| async move {
//!         Ok::<_, Infallible>(format!("hello, {name}"))
//!     }))
//! });
//! let mut service = Reconnect::new(maker);
//! assert_eq!(service.ready().await?.call("robot").await?, "hello, robot");
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! - **`poll_ready` never fails and never waits.** An error of connecting belongs to the call that
//!   needed the connection: its future ends with a [`ConnectError`](crate::ConnectError), the
//!   proof that the request was [not sent](crate::Sent::No). It [hands the request
//!   back](crate::Unsent), so that one that can't be copied can be replayed.
//! - **One attempt at a time**, however many callers. When it fails, everybody who waited for it
//!   gets its error (they share it through an [`Arc`](std::sync::Arc)); the next call begins a new
//!   one. There is no delay between attempts: that is the business of the retry layer above.
//! - **Nobody is held up by another caller.** Any caller that is polled drives the attempt;
//!   dropping one, or not polling it any more, leaves it to the others. If all of them are dropped
//!   the attempt is kept for the next call. If the runtime is gone on which it was begun, or if it
//!   panics and another caller has begun it, a new one takes its place at once.
//! - **Order.** Callers that waited get the connection, and room on one that is busy, first come,
//!   first served, unless one is not polled within 20 ms; it loses its place then. (So where several wait, a tokio runtime with its timer is needed.) When the connection is there and ready, [`call`](tower_service::Service::call)
//!   itself hands the request over.
//! - **A dead connection is not handed out again.** Dead means that its `poll_ready` failed, or
//!   that a call on it failed with what [`classify`](crate::classify()) takes for a connection
//!   error. A late failure on an old connection does not touch its successor.
//!   If the connection turns out dead before it took the request, a new one is made within the same
//!   call, once. Only where others are waiting for answers on that connection, and have not heard of its end
//!   yet, it would go past them. So it waits until they have. If one of them fails, so does this call,
//!   [not sent](crate::Sent::No), and leaves the order to the layer above; if they have been answered or
//!   dropped it goes on, in the order of the calls. After 20 ms it waits no longer for who is not polled, and
//!   fails, too, if somebody still has not heard. Nobody fails twice of one connection: a replay finds nobody
//!   to wait for, so that a server that closes often is no outage.
//! - **A connection that ends well is no failure.** An HTTP/1.1 connection (feature `hyper-conn`) that was
//!   closed after an answer, or because the own body of the caller in flight has failed, hands back the requests
//!   that wait on it. They go on to a new one, in their order and before all who come later; so does one that
//!   was handed over as it ended. That can't go on for ever: each of these connections has taken a
//!   request that is over then. (If the last handle of the `Reconnect` is gone, they fail instead, not sent.)
//!
//! - **An old connection is not handed out either**, where [`max_age`](Reconnect::max_age) or
//!   [`idle_timeout`](Reconnect::idle_timeout) say so: middleboxes forget connections.
//!
//! # What it expects
//!
//! - The connection is `Clone`: every caller calls a clone of its own, so that one that waits for
//!   readiness is in nobody's way. Put one that isn't behind a `tower::buffer::Buffer`.
//! - Its `poll_ready` fails when it is dead. (The built-in rule for errors of calls is a second
//!   line of defence. It errs on the safe side: a good connection that is dropped costs one
//!   connect, and the calls in flight on it are not disturbed.)
//!
//! - The runtime of the caller who connects runs on, or is dropped, where callers are on several: one that
//!   is kept and does not run (a `block_on` now and then) has the attempt's sockets and timers, and the
//!   connection's task, and all wait for it.
//!
//! - Its calls finish without it: when the last handle of the `Reconnect` goes, so does its clone of the
//!   connection, and a call in flight has nothing but the connection's own future. (This crate's TCP
//!   client and HTTP connections are made so.)
//!
//! Three unlike neighbours: tower's `Reconnect` is not `Clone`, so that every caller has a connection
//! of its own; a shared connect future that several tasks poll wakes only the last of them;
//! hyper-util's `pool::singleton` makes one connection for all, with the same hand-over when a caller
//! is dropped, but one that is not polled any more holds up all who wait with it, so this is not
//! built on it.

mod alarm;
mod attempt;
mod calls;
mod closed;
mod future;
mod hearing;
#[cfg_attr(not(feature = "hyper-conn"), allow(dead_code))]
mod heirs;
mod lease;
mod life;
mod line;
mod pending;
mod service;
mod shared;
mod shutdown;
mod waiter;
mod waiters;

pub use future::ResponseFuture;
#[cfg(feature = "hyper-conn")]
pub(crate) use heirs::Heir;
pub use service::Reconnect;
