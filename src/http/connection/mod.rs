//! One HTTP connection as a service: hyper's connection-level clients, for [`Reconnect`].
//!
//! [`Http1Connect`] and [`Http2Connect`] take any service that responds with a byte stream
//! (hyper-util's `HttpConnector`, hyper-rustls's `HttpsConnector`, a closure that opens a Unix
//! socket), shake hands, and respond with a connection that is `Clone`, as
//! [`Reconnect`] needs it.
//!
//! ```
//! # #[cfg(feature = "hyper-util")] {
//! use hyper_util::client::legacy::connect::HttpConnector;
//! use hyper_util::rt::TokioExecutor;
//! use tower::ServiceBuilder;
//! use tower_conn_retry::{Reconnect, RetryOnConnErr};
//! use tower_conn_retry::http::connection::Http2Connect;
//!
//! # type StreamingBody = http_body_util::Full<bytes::Bytes>;
//! let uri: hyper::Uri = "http://robot.example:8080".parse().unwrap();
//! let mut tcp = HttpConnector::new();
//! tcp.set_nodelay(true); // else each request with a body may wait 40 ms: see `Http2Connect`
//! let connect = Http2Connect::<_, StreamingBody>::new(tcp);
//! let client = ServiceBuilder::new()
//!     .layer(RetryOnConnErr::new().never_copy()) // the body need not be `Clone`
//!     .service(Reconnect::to(connect, uri));
//! # fn is_a_client<S: tower::Service<hyper::Request<StreamingBody>>>(_: &S) {}
//! # is_a_client(&client);
//! # }
//! ```
//!
//! # Why not a pooled client
//!
//! A pooled client takes the request and keeps it. hyper's `try_send_request` hands a request *back*
//! if the connection ended before anything of it was written, with its body, untouched; the error
//! of these services carries it ([`Unsent`]). So the layer replays it without ever having copied
//! it, whatever its method, a streaming body included: say
//! [`never_copy`](crate::RetryOnConnErr::never_copy). (A body that is `Clone` works with the plain
//! layer, which also replays an idempotent request that may have been sent.)
//!
//! And one connection keeps the order of the calls.
//!
//! | the connection ends | HTTP/1.1 | HTTP/2 |
//! |---|---|---|
//! | while the request waits for its turn, after an answer, or as the caller's own body before it fails | handed back, and `Reconnect` goes on to the next connection | |
//! | while the request waits for its turn, else | handed back | handed back |
//! | before anything of it was written | handed back | handed back |
//! | later | may have been sent | may have been sent |
//! | by GOAWAY, before the request | | handed back |
//! | by GOAWAY, the stream is above its last | | not processed, but hyper has dropped the request: replayed if there is a copy |
//! | by GOAWAY, the stream is not above its last | | it is answered |
//! | while the request waits for a stream: the first of them | | may have been sent |
//! | while the request waits for a stream: the others | | handed back |
//! | not: the peer refuses the stream (REFUSED_STREAM) | | not processed: replayed, on a new connection, if there is a copy |
//!
//! A server may close an HTTP/1.1 connection whenever it has answered, after each answer even: that is no
//! failure of those who wait. [`Reconnect`] makes the next connection and puts them on it, in the order of the
//! calls; the layer hears nothing of it. It goes by the answer before them: that has said that it was the
//! connection's last (`Connection: close`, HTTP/1.0 without keep-alive, a body that ends with the
//! connection), or had no body. (Whether a body was read to its end hyper does not tell. So where a connection
//! ends without a word after an answer with a body, they fail with it, provably not sent; and where the end
//! was announced, they go on even if the body has broken off, which its reader hears.) Where the own
//! body of the request in flight fails, the connection ends with it, and those who wait go on as well: nothing is
//! wrong with the peer. Where a request was in flight otherwise, dropped ones included (a timeout drops it, too), or
//! none was answered, it is a failure, and the layer's backoff limits the attempts.
//!
//! With HTTP/2 there is no such hand-over: those above the last stream of a GOAWAY, and those that come too
//! late for the connection, are failures, provably not sent, which the layer replays at once. A server may go
//! away after a few requests on each connection (nginx's `keepalive_requests`) and refuse all the others
//! that are there: as long as each connection takes some, that is no outage, and they are replayed again.
//! It counts who was answered or waits for an answer, and that the GOAWAY says no error. Where a connection
//! has taken nothing, or nothing that did not fail with it, the next failure is the second one, and the link
//! is down. Each of these replays is an attempt, for [`max_attempts`](crate::RetryOnConnErr::max_attempts) and
//! the [`budget`](crate::RetryOnConnErr::budget) too. There are the more of them the fewer requests a connection
//! takes: for each request of 50 callers, 1.1 to 1.3 attempts behind an nginx that takes 100, two to five where
//! it takes 10, and 35 where it takes one.
//!
//! Where the peer has set a limit of concurrent streams and all are in use, hyper (as of 1.12) gives the
//! oldest request that waits to h2 all the same, which sends it when there is room. If the connection ends
//! or goes away before that, hyper drops it and says no more than that its task is gone. So of each such
//! connection one request fails if it is not idempotent, and the others that wait are handed back.
//!
//! What a GOAWAY says is proof here only because all tasks of an HTTP/2 connection run one at a time,
//! under a lock of the connection's own. With hyper (as of 1.12) as it is elsewhere it is
//! [none](crate::http#goaway).
//!
//! # What it expects of a request
//!
//! An absolute URI, as hyper-util's client does: `http://robot.example:8080/rooms`. The layer reads
//! the [destination](crate::Destination) from it. For HTTP/1.1 it is sent in origin form, and a
//! `Host` header is added if there is none (RFC 9112 §3.2); a request that is handed back is as it
//! was given. For HTTP/2 its parts are the pseudo-headers, so a URI that is only a path is an error
//! there. The URI does not choose the connection: the target of
//! [`Reconnect::to`](crate::Reconnect::to) does.
//!
//! # What an answer means
//!
//! A call ends with the head of the answer. If the connection breaks after that, the *body* of the
//! answer fails, with a `hyper::Error`; nobody replays that. Ask
//! [`is_conn_error`](crate::is_conn_error) about it, and make the call again if that is right.
//!
//! On an HTTP/1.1 connection the next request waits until the answer's body was read to its end or
//! dropped, and dropping a call or a body that is not at its end closes the connection: there is no
//! other way to end an HTTP/1.1 message early. It waits for the end of the request's body, too. A server that
//! answers before it has read that (413), and then neither reads on nor closes, holds up those who wait:
//! against such a server have a [`Renew`](crate::Renew) around `Reconnect`, and an `attempt_timeout` above its
//! [`suspect_after`](crate::Renew::suspect_after).
//!
//! [`Reconnect`]: crate::Reconnect
//! [`Unsent`]: crate::Unsent

mod connect;
mod error;
mod executor;
mod flight;
mod form;
mod future;
mod http1;
mod http2;
mod progress;
mod queue;
mod serial;

pub use connect::{Connecting, Http1Connect, Http2Connect};
pub use error::{ConnectionClosed, RequestError, SendError};
pub use executor::{Executor, Task};
pub use future::ResponseFuture;
pub use http1::Http1Connection;
pub use http2::Http2Connection;
pub(crate) use progress::Progress;
