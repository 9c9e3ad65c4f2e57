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
//! | ETIMEDOUT, EAGAIN (a blocking socket's own time limit), and the timeouts of tokio, tower, tower-http, hyper, reqwest, tonic and hickory | [`Timeout`] | transient |
//! | end of stream, an incomplete message, a closed connection, GOAWAY, REFUSED_STREAM | [`Closed`] | transient |
//! | a resolver that fails, refuses or is silent | [`Dns`] | transient |
//! | a resolver that says that the name does not exist | [`Dns`] | permanent |
//! | TLS handshake: end of stream, reset | [`Tls`] | transient |
//! | TLS: certificate, name, version, cipher, ALPN, a peer that does not speak TLS | [`Tls`] | permanent |
//! | TLS: a certificate that is not valid yet (a clock that is not set yet) | [`Tls`] | transient |
//! | while connecting, above TCP: an `io::Error` of kind `InvalidData` (rustls's, if that feature is off) | [`Tls`] | permanent |
//! | TLS, later: a broken record | [`Tls`] | transient |
//! | while connecting only: EMFILE, ENFILE, ENOBUFS, ENOMEM | [`Local`] | transient |
//! | while connecting only: EACCES, EPERM, EAFNOSUPPORT | [`Local`] | permanent |
//! | while connecting only: EADDRINUSE | [`AddressUnavailable`] | transient |
//! | while connecting only: ENOENT (a Unix socket that is not there) | [`Refused`] | transient |
//! | a server that has no TLS, where PostgreSQL's clients are told to use it | [`Tls`] | permanent |
//! | redis, tokio-postgres, lapin, rumqttc, async-nats: a dropped connection; a stream that ends within a frame of tokio-util's; WebSockets: no close frame, or one already | [`Closed`] | transient |
//! | PostgreSQL, as FATAL or PANIC: SQLSTATE 57P01, 57P02, 57P05, class 08; AMQP: 320 (connection forced); MQTT 5: a server that is busy or shuts down | [`Closed`] | transient |
//! | PostgreSQL, as FATAL or PANIC: SQLSTATE 57P03, 53300 (a server that takes no connection); MQTT: a server that is not available | [`Refused`] | transient |
//! | AMQP: no heartbeat; MQTT: no answer to a ping; NATS: no answer to a request, no acknowledgement | [`Timeout`] | transient |
//! | a proxy that wants credentials for a tunnel (hyper-util's connectors) | [`Other`] | permanent |
//! | QUIC: a connection that either side closed; that the server refused; of which it knows nothing any more | [`Closed`]; [`Refused`]; [`Reset`] | transient |
//! | curl: a failed connect, of which it tells no more | [`Other`] | transient |
//!
//! The `io::ErrorKind`s and the Windows codes of the same meaning count in the same way. What is
//! found further in wins over what is found further out, because libraries make up outer kinds.
//!
//! Not connection errors, among others: EBADF, EINVAL, bad URLs, redirect loops, a status code,
//! an answer that can't be parsed or decoded, whatever a statement raises in a database (a function can
//! raise any SQLSTATE, as an ERROR, and may have committed before), and any error that the caller's own
//! request body or parameter produced, even if that is a reset connection. Where content comes in frames of
//! its own, one that is cut short within an intact frame is known for what it is in the errors of
//! serde_json (feature `serde`) only: see [below](#what-cant-be-seen).
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
//! | a received REFUSED_STREAM (RFC 9113 §8.7) | h2 |
//! | above the last stream of a received GOAWAY (§6.8) | h2; but see below for hyper |
//! | a connection that the server refused (57P03, 53300, as FATAL or PANIC) | sqlx, tokio-postgres |
//! | below "error connecting to server" | tokio-postgres |
//! | the question for TLS, which comes before everything else | sqlx (PostgreSQL), tokio-postgres |
//! | a resolver's error | any |
//! | a handshake's error | rustls, native-tls, sqlx, tokio-postgres, tokio-tungstenite |
//! | a message after the close frame | tokio-tungstenite |
//! | an error of `connect` | async-nats |
//! | a message that was handed back | rumqttc |
//!
//! All this is about the one exchange that failed. Where a call makes several (two statements, each on
//! a connection that it gets first), nothing in the second one's error tells about the first: give
//! each a call of its own. So it is with clients that follow redirects, or try again by themselves
//! (reqwest's own `retry`, reqwest-retry, object_store, the SDKs of clouds): of an attempt that the server has
//! read and answered with 503, and a second one that is refused, the error tells of the second one only. Turn
//! their retries off below this crate's layer. Therefore
//!
//! - with ureq 2, minreq or attohttpc, a resolver's or a handshake's error may be about the name that a
//!   server gave which has read the request. Give those requests a type that says so,
//!   [`may_redirect`](crate::Replayable::may_redirect), or turn redirects off.
//! - nothing is proof in the errors of redis, ureq 3, lapin, curl, quinn, and rumqttc's event loop.
//! - hyper's clients are told of a received GOAWAY now and then although their request is on its way
//!   (on several threads; hyper 1.12). The error does not show it, so this module goes by the protocol;
//!   the layer takes a request that failed with a GOAWAY as [`Sent::Maybe`]. Not so on this crate's own
//!   HTTP/2 connections.
//! - for reqwest, and for clients that are made of it or of hyper-util's (octocrab, kube), this is
//!   about the *last hop*; an earlier one may have been read. The layer takes it as [`Sent::Maybe`],
//!   whatever the request's type is, unless
//!   [`redirects_off`](crate::RetryOnConnErr::redirects_off) is promised.
//! - of a layer around hyper-util's client that follows redirects (tower-http's `FollowRedirect`) the
//!   error shows nothing. Put this crate's layer below that one, or say so with the request:
//!   [`may_redirect`](crate::Replayable::may_redirect).
//!
//! # A recogniser
//!
//! What an error of another library says by a variant only takes five lines:
//!
//! ```
//! use tower_conn_retry::{ConnError, ConnErrorKind, DefaultPolicy, RetryOnConnErr};
//! # #[derive(Debug)]
//! # enum MailError { Incomplete, Rejected(u16) }
//! # impl std::fmt::Display for MailError {
//! #     fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) }
//! # }
//! # impl std::error::Error for MailError {}
//!
//! let policy = DefaultPolicy::new().recognize(|error: &MailError| match error {
//!     // Not `with_sent(Sent::No)`: it may have been in the middle of an answer.
//!     MailError::Incomplete => Some(ConnError::new(ConnErrorKind::Closed)),
//!     MailError::Rejected(_) => None, // an answer
//! });
//! let layer = RetryOnConnErr::new().policy(policy);
//! # let _: RetryOnConnErr<_> = layer;
//! ```
//!
//! # What can't be seen
//!
//! - An error that is only text any more (`io::Error::other(error.to_string())`).
//! - The error directly below a `#[error(transparent)]` of thiserror, inside an `anyhow::Error`
//!   without context that was boxed, or in a type without `source()`: they do not pass on what they
//!   hold. If that is an `io::Error`, a timer's, or one of hyper's or rustls's, and both `Debug` and
//!   `Display` show it, each in its way, it is seen all the same, but is no proof. (So are the
//!   errors of some other libraries that are nothing but constant texts: pools' and clients' time limits and
//!   closed connections, those of fred, tiberius and mongodb; what bb8 has no connection for may be a wrong
//!   password, too.) For other types, and where
//!   `Debug` is the same as `Display`, [`DefaultPolicy::recognize`](crate::DefaultPolicy::recognize)
//!   of the *outer* type helps, but not with a boxed `anyhow::Error`: its type can't be named. Give that
//!   one a context, or let the service's error be the library's own.
//! - Whether what a peer says instead of TLS is its first word, or a damaged record later on, where nothing
//!   around rustls's error tells (tokio-rustls by itself, and in tokio-tungstenite, redis, lapin and ureq): it counts
//!   as [`Transient`](Outlook::Transient), unless a [`ConnectError`](crate::ConnectError) around it says more.
//! - What sqlx's PostgreSQL says of its server's severity, if the text of that type changes: then nothing that
//!   the server says is proof.
//! - What TLS said over HTTP/2, except for the alerts and the damaged records of rustls: h2 keeps
//!   only the text.
//! - Whether the caller's own body broke, in ureq: its errors look like the connection's.
//! - Whether the stream ended or only the content, in what a decoder says that calls either an
//!   `UnexpectedEof`: of a truncated gzip in good framing (flate2, tower-http's `Decompression`), of
//!   bincode 1 or rmp-serde. Where the frames are known to be intact, a policy can say no:
//!
//!   ```
//!   use std::error::Error;
//!   use tower_conn_retry::{ConnError, ConnErrorPolicy, RetryOnConnErr};
//!   # #[derive(Debug)]
//!   # struct DecodeError;
//!   # impl std::fmt::Display for DecodeError {
//!   #     fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { Ok(()) }
//!   # }
//!   # impl Error for DecodeError {}
//!
//!   struct Policy;
//!
//!   impl<Req> ConnErrorPolicy<Req> for Policy {
//!       fn classify(&self, error: &(dyn Error + 'static)) -> Option<ConnError> {
//!           if error.is::<DecodeError>() {
//!               return None; // whatever is below it
//!           }
//!           tower_conn_retry::classify(error)
//!       }
//!   }
//!
//!   let layer = RetryOnConnErr::new().policy(Policy);
//!   # let _: RetryOnConnErr<_> = layer;
//!   ```
//! - What a client says only by a variant or a predicate of its own, without a source. These take a
//!   recogniser each, too:
//!
//! | client | what is not seen | how it says so |
//! |---|---|---|
//! | jsonrpsee | silence; half an answer | `ClientError::RequestTimeout` (`RestartNeeded` comes for bad answers, too); `Malformed`, `Rejected` with 200 |
//! | fred | what broke exactly | `Error::details()` |
//! | tokio-modbus | closed | an `io::Error` of whatever errno came last |
//! | mail-send | closed | `Error::UnparseableReply`, as for a bad answer |
//! | suppaftp | closed | `FtpError::BadResponse`, as for a bad answer |
//! | http_req | closed; silence | `Error::Parse(StatusErr)`, as for a bad answer; `Error::Timeout` |
//! | mongodb | no server in time, of many | `ErrorKind::ServerSelection` |
//! | scylla | closed while connecting | `BrokenConnectionErrorKind` |
//! | tiberius | a stream that ends within an answer's packet | `Error::Io` with the kind `Other` |
//! | hyper before 1.0 | silence | `is_timeout()` |
//! | deadpool | no connection free in time | `PoolError::Timeout(Wait)` |
//! | isahc | a certificate that is not valid yet (it counts as permanent) | nothing |
//! | diesel-async | closed | `ConnectionError::BadConnection`, `DatabaseErrorKind::ClosedConnection` |
//! | russh | closed, at times | `Error::SendError` |
//! | h3 | all | `ConnectionError`, `StreamError` |
//! | tokio-socks | what a SOCKS proxy says | `Error`, by its variants |
//! | zeromq, eventsource-client | closed | their `Error`, by its variants |
//! | async-nats's object store | silence | `TimedOut` of its errors' kinds |
//! | redis before 1.0 | most | `is_io_error()`, `is_timeout()` |
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
//! [`Other`]: ConnErrorKind::Other

#[cfg(any(
    feature = "native-tls",
    feature = "quinn",
    feature = "rustls",
    feature = "tokio-tungstenite",
    feature = "ureq"
))]
mod alert;
#[cfg(feature = "async-nats")]
mod async_nats;
mod conn_error;
mod constants;
mod context;
#[cfg(feature = "curl")]
mod curl;
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
#[cfg(any(
    feature = "native-tls",
    feature = "tokio-tungstenite",
    feature = "ureq"
))]
#[cfg_attr(any(target_os = "windows", target_vendor = "apple"), allow(dead_code))]
mod openssl_reason;
mod own;
#[cfg(feature = "quinn")]
mod quinn;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "reqwest", feature = "reqwest-0-12"))]
mod reqwest;
#[cfg(feature = "rumqttc")]
mod rumqttc;
#[cfg(feature = "rustls")]
mod rustls;
#[cfg(feature = "serde")]
mod serde_json;
#[cfg(any(feature = "sqlx", feature = "sqlx-0-8", feature = "tokio-postgres"))]
mod sqlstate;
#[cfg(any(feature = "sqlx", feature = "sqlx-0-8"))]
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
pub(crate) use text::Text;
#[cfg(feature = "tcp")]
pub(crate) use walk::walk_connecting;
pub(crate) use walk::{Recognizer, cast, steps, walk};

use std::error::Error;

/// Who is asked at every step, in this order. `dns`, `rustls` and `serde_json` come before `io`, because
/// (some of) their errors are `io::Error`s.
const FAMILIES: &[walk::Inspect] = &[
    own::inspect,
    timeout::inspect,
    dns::inspect,
    #[cfg(feature = "rustls")]
    rustls::inspect,
    #[cfg(feature = "serde")]
    serde_json::inspect,
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
    #[cfg(any(feature = "sqlx", feature = "sqlx-0-8"))]
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
    #[cfg(feature = "curl")]
    curl::inspect,
    #[cfg(feature = "quinn")]
    quinn::inspect,
];

/// Whether it comes from a client that may have followed redirects, whatever the request's type says:
/// an `http::Request` may be made reqwest's further in, and a client that nothing is known about may
/// be made of hyper-util's, and of a layer that follows redirects or tries again.
pub(crate) fn may_have_redirected(error: &(dyn Error + 'static)) -> bool {
    #[cfg(any(feature = "reqwest", feature = "reqwest-0-12"))]
    if steps(error).any(reqwest::is_error) {
        return true;
    }
    #[cfg(feature = "hyper-util")]
    if walk::foreign_steps(error).any(hyper_util::is_error) {
        return true;
    }
    let _ = error;
    false
}

/// Whether it takes a received GOAWAY for the proof that the request was not processed. Below hyper the
/// request may be on its way all the same, where the connection's task runs in another thread: seldom,
/// but a POST that is replayed then is done twice.
pub(crate) fn relies_on_hypers_goaway(error: &(dyn Error + 'static)) -> bool {
    #[cfg(feature = "h2")]
    {
        let sent = |found: Option<ConnError>| found.map(|found| found.sent());
        sent(classify(error)) == Some(Sent::No)
            && sent(walk::walk_strictly(error)) == Some(Sent::Maybe)
    }
    #[cfg(not(feature = "h2"))]
    {
        let _ = error;
        false
    }
}

/// What this error says about the connection, if it is about the connection at all.
///
/// Allocates nothing (the texts of an error of unknown type may), takes at most 64 steps, and never
/// panics: a chain may be a cycle, or as long as it likes, and where an error's own code panics
/// (`Display`, `Debug`, `source()`), nothing is seen there. See the [module](mod@crate::classify) for what counts.
pub fn classify(error: &(dyn Error + 'static)) -> Option<ConnError> {
    walk(error, &[])
}

/// Is this error about the connection? The same as [`classify`] with `is_some()`.
pub fn is_conn_error(error: &(dyn Error + 'static)) -> bool {
    classify(error).is_some()
}
