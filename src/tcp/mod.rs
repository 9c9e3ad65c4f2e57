//! A pipelined request/answer client over TCP, for any codec of `tokio_util`.
//!
//! A [`Connector`] makes [`Client`]s; [`Reconnect`](crate::Reconnect) makes them into a service that
//! outlives its connections.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_conn_retry::BoxError> {
//! use bytes::Bytes;
//! use tokio_util::codec::LengthDelimitedCodec;
//! use tower::{Service, ServiceExt};
//! use tower_conn_retry::{Reconnect, tcp};
//!
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # let address = listener.local_addr()?;
//! # tokio::spawn(async move {
//! #     let (mut socket, _) = listener.accept().await.unwrap();
//! #     let (mut read, mut write) = socket.split();
//! #     let _ = tokio::io::copy(&mut read, &mut write).await;
//! # });
//! let connector = tcp::Connector::new(address, || LengthDelimitedCodec::new());
//! let mut echo = Reconnect::new(connector);
//! let answer = echo.ready().await?.call(Bytes::from("hello")).await?;
//! assert_eq!(&answer[..], b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! # The connection
//!
//! One task owns it. Requests are written in the order of the calls, as many with one write as there
//! are. How they end:
//!
//! | | a request is done when |
//! |---|---|
//! | [`Connector::new`] | its answer is there; answers come in the order of the requests |
//! | [`.correlate(…)`](Connector::correlate) | its answer is there; answers come in any order, with the id of their request |
//! | [`.one_way()`](Connector::one_way) | the peer's kernel has acknowledged it; there are no answers |
//!
//! Without ids, an answer too many, while others are awaited, can only be taken for the next one's:
//! with ids it is an [error](ErrorKind::UnexpectedAnswer). So is a message that the peer sends of
//! its own accord, unless a [`Correlate`] takes it.
//!
//! At most [`max_in_flight`](Connector::max_in_flight) requests are unanswered. Memory is bounded by
//! that, by 128 KiB and one frame of unwritten bytes, and by what the codec lets a frame grow to: give
//! the codec a limit.
//!
//! # Done, sent, not sent
//!
//! A request is never done when it was written: what a write accepted can still be lost, up to the
//! whole send buffer. When the connection breaks, every request knows
//! whether its whole frame had been handed to the kernel. If not, its [`Error`] is proof that it was
//! [not sent](crate::Sent::No); see [`Error::sent`]. Answers that had arrived before the break are
//! still handed out.
//!
//! Where the stream ends within an answer, the codec's `decode_eof` has the last word. That of `tokio_util`'s
//! `LinesCodec` takes what has come of a line for all of it, so that an answer that was cut off, by a server
//! that was killed, passes for a whole one. Where a part must not pass, use frames that tell their length, or a
//! codec whose `decode_eof` fails there: the connection is closed then, and the request is replayed if it may
//! be.
//!
//! # Silence
//!
//! | what has gone silent | is noticed by |
//! |---|---|
//! | the peer, or the way there, while something is sent | [`user_timeout`](Connector::user_timeout) |
//! | the peer, or the way there, while nothing is | [`keepalive`](Connector::keepalive) and `user_timeout` |
//! | the peer's program, while its kernel still acknowledges | [`response_timeout`](Connector::response_timeout), which is off by default |
//!
//! # Which errors are connection errors
//!
//! All but [`Encode`](ErrorKind::Encode) and [`DuplicateId`](ErrorKind::DuplicateId) (the request's
//! own fault; nothing was written and the connection goes on), and [`NotReady`](ErrorKind::NotReady).
//! An answer that can't be [decoded](ErrorKind::Decode) or that
//! [nobody asked for](ErrorKind::UnexpectedAnswer) counts as a closed connection: the stream is out
//! of step, so it is given up, and that is no fault of the other requests in flight.

mod answers;
mod book;
mod client;
mod connect;
mod connector;
mod correlate;
mod dial;
mod driver;
mod error;
mod options;
mod outgoing;
mod patience;
mod permits;
mod progress;
mod queue;
mod race;
mod slot;
mod socket;
#[cfg(feature = "tls")]
mod tls;

pub use answers::{ById, InOrder, OneWay};
pub use client::{Client, ResponseFuture};
pub use connect::Connecting;
pub use connector::Connector;
pub use correlate::Correlate;
pub use error::{Error, ErrorKind};
#[cfg(feature = "tls")]
pub use tls::Tls;
