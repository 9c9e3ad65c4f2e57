//! Which errors are about the connection.
//!
//! [`classify`] walks along an error's chain of sources, from the outside in, and says
//! [what broke](ConnErrorKind), [whether the request can have arrived](Sent) and [whether waiting
//! can help](Outlook). It knows errno and [`std::io::ErrorKind`], timers, name resolution, and the
//! errors of the libraries whose features are enabled.
//!
//! ```
//! use std::io;
//! use tower_conn_retry::{ConnErrorKind, Sent, classify};
//!
//! let reset = io::Error::from(io::ErrorKind::ConnectionReset);
//! let wrapped = io::Error::other(reset); // `source()` would skip what is inside
//! let found = classify(&wrapped).expect("a connection error");
//! assert_eq!(found.kind(), ConnErrorKind::Reset);
//! assert_eq!(found.sent(), Sent::Maybe);
//!
//! assert!(classify(&io::Error::from(io::ErrorKind::InvalidData)).is_none());
//! ```
//!
//! # The evidence
//!
//! | evidence | kind | outlook |
//! |---|---|---|
//! | ECONNREFUSED | [`Refused`] | transient |
//! | ECONNRESET | [`Reset`] | transient |
//! | ECONNABORTED | [`Aborted`] | transient |
//! | EPIPE, ESHUTDOWN | [`BrokenPipe`] | transient |
//! | ENOTCONN | [`NotConnected`] | transient |
//! | ENETUNREACH, EHOSTUNREACH, EHOSTDOWN, ENONET, ENOPROTOOPT | [`Unreachable`] | transient |
//! | ENETDOWN, ENETRESET, ENODEV | [`NetworkDown`] | transient |
//! | EADDRNOTAVAIL | [`AddressUnavailable`] | transient |
//! | ETIMEDOUT, and the timeouts of tokio, tower, hyper, reqwest, tonic and hickory | [`Timeout`] | transient |
//! | end of stream, an incomplete message, a closed connection, GOAWAY, REFUSED_STREAM | [`Closed`] | transient |
//! | a resolver that fails, refuses or is silent | [`Dns`] | transient |
//! | a resolver that says that the name does not exist | [`Dns`] | permanent |
//! | TLS handshake: end of stream, reset | [`Tls`] | transient |
//! | TLS: certificate, name, version, cipher, ALPN, a peer that does not speak TLS | [`Tls`] | permanent |
//! | TLS: a certificate that is not valid yet (a clock that is not set yet) | [`Tls`] | transient |
//! | TLS, later: a broken record | [`Tls`] | transient |
//! | while connecting only: EMFILE, ENFILE, ENOBUFS, ENOMEM | [`Local`] | transient |
//! | while connecting only: EACCES, EPERM, EAFNOSUPPORT | [`Local`] | permanent |
//! | while connecting only: EADDRINUSE | [`AddressUnavailable`] | transient |
//! | while connecting only: ENOENT (a Unix socket that is not there) | [`Refused`] | transient |
//!
//! | redis, tokio-postgres: a dropped connection; PostgreSQL: SQLSTATE 57P01, 57P02, 57P05, class 08; WebSockets: no close frame, or one already | [`Closed`] | transient |
//! | PostgreSQL: SQLSTATE 57P03, 53300 (a server that takes no connection) | [`Refused`] | transient |
//!
//! The `io::ErrorKind`s and the Windows codes of the same meaning count in the same way. What is
//! found further in wins over what is found further out, because libraries make up outer kinds.
//!
//! Not connection errors, among others: EBADF, EINVAL, bad URLs, redirect loops, a status code,
//! an answer that can't be parsed or decoded, and any error that the caller's own request body
//! produced, even if that is a reset connection.
//!
//! # The proof
//!
//! [`Sent::No`] needs proof, and no errno is proof: ECONNREFUSED comes up on connections that have
//! been established, after the peer has read the request. Proof is the *position* in the chain:
//!
//! | position | library |
//! |---|---|
//! | below an error of connecting | hyper-util, reqwest, tonic, [`ConnectError`](crate::ConnectError) |
//! | below an error about a request that was handed back | hyper (`is_canceled`), [`NotSent`](crate::NotSent), [`Unsent`](crate::Unsent) |
//! | without a connection | hyper-util (`connect_info`) |
//! | above the last stream of a received GOAWAY, or a received REFUSED_STREAM (RFC 9113 §6.8, §8.7) | h2 |
//! | a resolver's error | any |
//! | a handshake's error | rustls, native-tls |
//! | a connection that the server refused (57P03, 53300) | sqlx, tokio-postgres |
//! | an HTTP upgrade that was not finished, a message after the close frame | tokio-tungstenite |
//!
//! All this is about the one exchange that failed. Where a call makes several (two statements, each on
//! a connection that it gets first), nothing in the second one's error tells about the first: give
//! each a call of its own. So it is with redirects: for reqwest this is about the *last hop*; an
//! earlier one may have been read. Its requests are taken care of; for other clients that follow
//! redirects by themselves (ureq 2, …) switch that off, or take [`Sent::No`] as
//! [`Sent::Maybe`] in a [policy](crate::ConnErrorPolicy). Nothing is proof in an error of ureq 3's.
//!
//! # What can't be seen
//!
//! - An error that is only text any more (`io::Error::other(error.to_string())`).
//! - The error directly below a `#[error(transparent)]` of thiserror, inside an `anyhow::Error`
//!   without context that was boxed, or in a type without `source()`: they do not pass on what they
//!   hold. If that is an `io::Error` or a timer's, and both `Debug` and `Display` show it, each in the
//!   way that std does, it is seen all the same, but is no proof. For other types, and where `Debug`
//!   is the same as `Display`, [`DefaultPolicy::recognize`](crate::DefaultPolicy::recognize) helps.
//! - What TLS said over HTTP/2, except for the alerts and the damaged records of rustls: h2 keeps
//!   only the text.
//! - Whether the caller's own body broke, in ureq: its errors look like the connection's.
//! - What a client says only by a variant or a predicate of its own, without a source. These take a
//!   recogniser each, too:
//!
//! | client | what is not seen | how it says so |
//! |---|---|---|
//! | rumqttc | closed; silence | `StateError::ConnectionAborted`; `StateError::AwaitPingResp`, `ConnectionError::NetworkTimeout` |
//! | async-nats | closed while connecting | `ConnectErrorKind::Io` with a text |
//! | jsonrpsee | silence | `ClientError::RequestTimeout` (`RestartNeeded` comes for bad answers, too) |
//! | fastwebsockets | closed | `WebSocketError::UnexpectedEOF` |
//! | bb8, deadpool | no connection in time (bb8: for any reason, a wrong password too) | `RunError::TimedOut`; `PoolError::Timeout` |
//! | redis before 1.0 | most | `is_io_error()`, `is_timeout()` |
//! | attohttpc, other blocking clients | a socket's own timeout | `io::ErrorKind::WouldBlock` |
//!
//! - An error type of another major version of a library.
//!
//! [`Refused`]: ConnErrorKind::Refused
//! [`Reset`]: ConnErrorKind::Reset
//! [`Aborted`]: ConnErrorKind::Aborted
//! [`BrokenPipe`]: ConnErrorKind::BrokenPipe
//! [`NotConnected`]: ConnErrorKind::NotConnected
//! [`Unreachable`]: ConnErrorKind::Unreachable
//! [`NetworkDown`]: ConnErrorKind::NetworkDown
//! [`AddressUnavailable`]: ConnErrorKind::AddressUnavailable
//! [`Timeout`]: ConnErrorKind::Timeout
//! [`Closed`]: ConnErrorKind::Closed
//! [`Dns`]: ConnErrorKind::Dns
//! [`Tls`]: ConnErrorKind::Tls
//! [`Local`]: ConnErrorKind::Local

#[cfg(any(
    feature = "rustls",
    all(
        feature = "native-tls",
        not(any(target_os = "windows", target_vendor = "apple"))
    )
))]
mod alert;
#[cfg(feature = "async-nats")]
mod async_nats;
mod conn_error;
mod context;
mod dns;
mod errno;
mod gai;
#[cfg(feature = "h2")]
mod h2;
#[cfg(feature = "hickory")]
mod hickory;
mod hidden;
#[cfg(feature = "hyper")]
mod hyper;
#[cfg(feature = "hyper-util")]
mod hyper_util;
mod io;
#[cfg(feature = "lapin")]
mod lapin;
#[cfg(feature = "native-tls")]
mod native_tls;
mod own;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "reqwest", feature = "reqwest-0-12"))]
mod reqwest;
#[cfg(feature = "rumqttc")]
mod rumqttc;
#[cfg(feature = "rustls")]
mod rustls;
#[cfg(any(feature = "sqlx", feature = "tokio-postgres"))]
mod sqlstate;
#[cfg(feature = "sqlx")]
mod sqlx;
mod text;
mod timeout;
#[cfg(feature = "tokio-postgres")]
mod tokio_postgres;
#[cfg(feature = "tokio-tungstenite")]
mod tokio_tungstenite;
#[cfg(feature = "tonic")]
mod tonic;
#[cfg(feature = "ureq")]
mod ureq;
mod walk;

pub use conn_error::{ConnError, ConnErrorKind, Outlook, Sent};
#[cfg(feature = "tcp")]
pub(crate) use walk::walk_connecting;
pub(crate) use walk::{Recognizer, cast, steps, walk};

use std::error::Error;

/// Who is asked at every step, in this order. `dns` and `rustls` come before `io`, because (some of)
/// their errors are `io::Error`s.
const FAMILIES: &[walk::Inspect] = &[
    own::inspect,
    timeout::inspect,
    dns::inspect,
    #[cfg(feature = "rustls")]
    rustls::inspect,
    io::inspect,
    #[cfg(feature = "native-tls")]
    native_tls::inspect,
    #[cfg(feature = "hyper")]
    hyper::inspect,
    #[cfg(feature = "hyper-util")]
    hyper_util::inspect,
    #[cfg(feature = "h2")]
    h2::inspect,
    #[cfg(any(feature = "reqwest", feature = "reqwest-0-12"))]
    reqwest::inspect,
    #[cfg(feature = "tonic")]
    tonic::inspect,
    #[cfg(feature = "hickory")]
    hickory::inspect,
    #[cfg(feature = "redis")]
    redis::inspect,
    #[cfg(feature = "sqlx")]
    sqlx::inspect,
    #[cfg(feature = "tokio-postgres")]
    tokio_postgres::inspect,
    #[cfg(feature = "tokio-tungstenite")]
    tokio_tungstenite::inspect,
    #[cfg(feature = "ureq")]
    ureq::inspect,
    #[cfg(feature = "async-nats")]
    async_nats::inspect,
    #[cfg(feature = "lapin")]
    lapin::inspect,
    #[cfg(feature = "rumqttc")]
    rumqttc::inspect,
];

/// Whether it comes from a client that may have followed redirects, whatever the request's type says:
/// an `http::Request` may be made reqwest's further in.
pub(crate) fn may_have_redirected(error: &(dyn Error + 'static)) -> bool {
    #[cfg(any(feature = "reqwest", feature = "reqwest-0-12"))]
    return steps(error).any(reqwest::is_error);
    #[cfg(not(any(feature = "reqwest", feature = "reqwest-0-12")))]
    {
        let _ = error;
        false
    }
}

/// What this error says about the connection, if it is about the connection at all.
///
/// Allocates nothing (the texts of an error of unknown type may), takes at most 64 steps, and never
/// panics: a chain may be a cycle, or as long as it likes. See the [module](mod@crate::classify) for what counts.
pub fn classify(error: &(dyn Error + 'static)) -> Option<ConnError> {
    walk(error, &[])
}

/// Is this error about the connection? The same as [`classify`] with `is_some()`.
pub fn is_conn_error(error: &(dyn Error + 'static)) -> bool {
    classify(error).is_some()
}
