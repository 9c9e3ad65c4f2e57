//! Error chains out of bytes: for property tests and for fuzzing.
//!
//! The rules that any of them has to keep:
//!
//! 1. Classification ends, and does not panic.
//! 2. `Sent::No` is said only of a chain that has a proof in it.
//! 3. A neutral wrapping changes nothing.
//! 4. A proof makes of any connection error one that was not sent, and leaves its kind alone. An
//!    error of *connecting* is a connection error whatever is inside, and there things count that
//!    do not count elsewhere (EMFILE; the first bytes of a peer without TLS), so that the kind may
//!    become that of something further in.
//! 5. The kind of an `io::Error` counts where nothing inside is recognised, unless the inside is
//!    known to be none.
//! 6. What lies deeper than the walk goes is not seen. That can hide a connection error; what a
//!    proof further out says still holds.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use tower_conn_retry::{BoxError, ConnectError, NotSent, Unsent};

use super::wrappings::{Outer, Transparent};

/// A layer of a made-up chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Io(io::ErrorKind),
    Shared,
    SharedDyn,
    Boxed,
    Outer,
    Transparent,
    Anyhow,
    NotSent,
    Unsent,
    Connect,
}

use Layer::{Anyhow, Boxed, Connect, Io, Shared, SharedDyn};

const LAYERS: &[Layer] = &[
    Io(io::ErrorKind::Other),
    Io(io::ErrorKind::InvalidData),
    Io(io::ErrorKind::ConnectionReset),
    Io(io::ErrorKind::UnexpectedEof),
    Io(io::ErrorKind::TimedOut),
    Io(io::ErrorKind::PermissionDenied),
    Io(io::ErrorKind::NotConnected),
    Shared,
    SharedDyn,
    Boxed,
    Layer::Outer,
    Layer::Transparent,
    Anyhow,
    Layer::NotSent,
    Layer::Unsent,
    Connect,
];

impl Layer {
    pub(crate) fn of(byte: u8) -> Self {
        LAYERS[usize::from(byte) % LAYERS.len()]
    }

    pub(crate) fn is_proof(self) -> bool {
        matches!(self, Self::NotSent | Self::Unsent | Self::Connect)
    }

    /// Says nothing of its own.
    pub(crate) fn is_neutral(self) -> bool {
        match self {
            Io(kind) => matches!(kind, io::ErrorKind::Other | io::ErrorKind::InvalidData),
            layer => !layer.is_proof(),
        }
    }

    /// How many steps deeper the inside lies.
    pub(crate) fn steps(self) -> usize {
        match self {
            Boxed | Shared | Self::Transparent | Self::Unsent => 2,
            _ => 1,
        }
    }

    pub(crate) fn wrap(self, error: BoxError) -> BoxError {
        match self {
            Io(kind) => Box::new(io::Error::new(kind, error)),
            Shared => Box::new(Arc::new(io::Error::other(error))),
            SharedDyn => {
                let shared: Arc<dyn Error + Send + Sync> = Arc::from(error);
                Box::new(shared)
            }
            Boxed => Box::new(Box::new(io::Error::other(error))),
            Self::Outer => Box::new(Outer(error)),
            Self::Transparent => Box::new(Transparent(Outer(error))),
            Anyhow => anyhow::Error::new(Outer(error)).context("context").into(),
            Self::NotSent => Box::new(NotSent::new(error)),
            Self::Unsent => Box::new(Unsent::new((), error)),
            Connect => Box::new(ConnectError::new(error)),
        }
    }
}

/// Its own source.
#[derive(Debug)]
pub(crate) struct Cycle;

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a snake and its tail")
    }
}

impl Error for Cycle {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self)
    }
}

/// An innermost error, and whether it is a proof by itself.
pub(crate) fn leaf(byte: u8, code: u8) -> (BoxError, bool) {
    let libraries = libraries();
    match byte % 6 {
        0 => (Box::new(fmt::Error), false),
        1 => ("a text".into(), false),
        2 => (Box::new(Cycle), false),
        3 => {
            let hidden = Transparent(io::Error::from_raw_os_error(code.into()));
            (Box::new(hidden), false)
        }
        4 if !libraries.is_empty() => {
            let (make, is_proof) = &libraries[usize::from(code) % libraries.len()];
            (make(), *is_proof)
        }
        _ => {
            let error = io::Error::from_raw_os_error(code.into());
            (Box::new(error), false)
        }
    }
}

type Make = Box<dyn Fn() -> BoxError>;

/// Errors of real libraries' own making.
#[cfg(not(feature = "_tests"))]
fn libraries() -> Vec<(Make, bool)> {
    Vec::new()
}

#[cfg(feature = "_tests")]
fn libraries() -> Vec<(Make, bool)> {
    use std::sync::LazyLock;

    use redis::{ErrorKind, RedisError};
    use rustls::{AlertDescription, CertificateError, Error as Tls, InvalidMessage};
    use tokio_tungstenite::tungstenite::Error as Ws;
    use tokio_tungstenite::tungstenite::error::ProtocolError;

    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(reqwest::Client::new);

    fn row<E: Error + Send + Sync + 'static>(make: fn() -> E, is_proof: bool) -> (Make, bool) {
        (Box::new(move || Box::new(make())), is_proof)
    }

    vec![
        row(|| Tls::InvalidCertificate(CertificateError::Expired), true),
        row(|| Tls::NoApplicationProtocol, true),
        row(|| Tls::DecryptError, false),
        row(|| Tls::AlertReceived(AlertDescription::UnknownCA), false),
        row(
            || Tls::InvalidMessage(InvalidMessage::InvalidContentType),
            false,
        ),
        row(|| Tls::BadMaxFragmentSize, false),
        row(|| h2::Error::from(h2::Reason::REFUSED_STREAM), false),
        row(|| tonic::Status::unavailable("by the application"), false),
        row(|| RedisError::from((ErrorKind::Io, "gone")), false),
        row(|| RedisError::from((ErrorKind::Client, "a mistake")), false),
        row(|| Ws::ConnectionClosed, false),
        row(|| Ws::Protocol(ProtocolError::HandshakeIncomplete), true),
        row(|| Ws::Io(io::ErrorKind::ConnectionReset.into()), false),
        row(|| sqlx::Error::PoolTimedOut, false),
        row(|| sqlx::Error::RowNotFound, false),
        row(|| sqlx::Error::Io(io::ErrorKind::BrokenPipe.into()), false),
        row(|| hickory_resolver::net::NetError::Timeout, true),
        row(|| CLIENT.get("http://").build().unwrap_err(), false),
        row(tower::timeout::error::Elapsed::new, false),
    ]
}
