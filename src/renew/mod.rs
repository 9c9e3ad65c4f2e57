//! A pooled client that is made anew when one of its connections broke.
//!
//! A network that was lost for a moment, a NAT that forgot, a failover: *all* idle connections of a
//! client's pool are dead then, and the pool does not know. A request finds out on one of them, and
//! its replay on the next. So the replays find one dead connection after the other, each of them
//! with a pause before it, as if the server was away; with connections that are silent, each of
//! them costs a timeout.
//!
//! [`Renew`] makes a new client after the first, and with it an empty pool: the replay is sent on a
//! fresh connection. That takes two lines:
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
//! For hyper-util's client, `Renew::new(move || builder.build(connector.clone()))` shares the
//! connector, which makes a new client cheap.
//!
//! # When
//!
//! - When a call fails with a [connection error](crate::classify()) of a request that may have been
//!   [sent](crate::Sent::Maybe), a timeout included. (A failed *connect* says nothing against the
//!   pool.)
//! - When a call is dropped that had no answer for [a second](Renew::suspect_after): so ends an
//!   attempt that took longer than [`attempt_timeout`](crate::RetryOnConnErr::attempt_timeout), for
//!   the service below.
//! - When the client's `poll_ready` fails.
//!
//! Only the client that the call was made on is retired, so that many calls that fail together make
//! one new client. What is in flight on the old one goes on undisturbed, answers' bodies included;
//! then it is dropped, and its idle connections are closed. (A clone of `Renew` that has made a call
//! keeps its client until it is polled again, or dropped.)
//!
//! # What is lost
//!
//! All that the client keeps beside its connections. With reqwest's `cookie_store(true)` those are the cookies,
//! so that a session ends. Keep them in a jar that all the clients share: make an
//! `Arc::new(reqwest::cookie::Jar::default())`, and each client with `cookie_provider(jar.clone())`.
//!
//! # What it costs
//!
//! While all is well, an atomic load, a look at the clock and a shared pointer for each call, and a
//! lock for the first call of each clone. After a broken connection, a new client (with reqwest and
//! TLS, the roots are loaded again unless you share them), and a new connection to *each* host that
//! the client talks to: use one `Renew` for each host, or for a few, if that matters.

mod future;
mod service;

pub use future::ResponseFuture;
pub use service::Renew;
