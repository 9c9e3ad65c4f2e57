//! Chains of any shape: the walk ends, never panics, and makes no proof up.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use proptest::prelude::*;
use tower_conn_retry::{
    BoxError, ConnErrorKind, ConnectError, NotSent, Sent, Unsent, classify, is_conn_error,
};

use super::wrappings::{Outer, Transparent};

/// Its own source.
#[derive(Debug)]
struct Cycle;

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

#[test]
fn a_cycle_ends() {
    assert_eq!(classify(&Cycle), None);
    let found = classify(&io::Error::new(io::ErrorKind::ConnectionReset, Cycle));
    assert_eq!(found.map(|found| found.kind()), Some(ConnErrorKind::Reset));
    let found = classify(&ConnectError::new(Cycle));
    assert_eq!(found.map(|found| found.sent()), Some(Sent::No));
}

/// `source()` on nested `io::Error`s recurses inside std, and overflows the stack. (So does the
/// destructor, hence `forget`.)
#[test]
fn a_hundred_thousand_nested_io_errors_end() {
    let mut error = io::Error::from(io::ErrorKind::ConnectionReset);
    for _ in 0..100_000 {
        error = io::Error::other(error);
    }
    assert_eq!(classify(&error), None); // deeper than the walk goes
    let error = ConnectError::new(error);
    let found = classify(&error);
    std::mem::forget(error);
    assert_eq!(found.map(|found| found.sent()), Some(Sent::No));
}

#[test]
fn a_hundred_thousand_shared_io_errors_end() {
    let mut error = io::Error::from(io::ErrorKind::ConnectionReset);
    for _ in 0..100_000 {
        error = io::Error::other(Arc::new(error));
    }
    assert_eq!(classify(&error), None);
    std::mem::forget(error);
}

/// Whoever shows one of these shows them all.
#[test]
fn a_hundred_thousand_nested_errors_of_the_resolvers_kind_end() {
    let uncategorized = io::Error::from_raw_os_error(i32::MAX).kind();
    let mut error = io::Error::from(io::ErrorKind::ConnectionReset);
    for _ in 0..100_000 {
        error = io::Error::new(uncategorized, Arc::new(error));
    }
    assert_eq!(classify(&error), None);
    std::mem::forget(error);
}

#[test]
fn the_walk_goes_deeper_than_any_real_chain() {
    let mut error = io::Error::from(io::ErrorKind::ConnectionReset);
    for _ in 0..60 {
        error = io::Error::other(error);
    }
    assert!(is_conn_error(&error));
}

/// A layer of a made-up chain.
#[derive(Debug, Clone, Copy)]
enum Layer {
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

impl Layer {
    fn is_proof(self) -> bool {
        matches!(self, Self::NotSent | Self::Unsent | Self::Connect)
    }

    fn wrap(self, error: BoxError) -> BoxError {
        match self {
            Self::Io(kind) => Box::new(io::Error::new(kind, error)),
            Self::Shared => Box::new(Arc::new(io::Error::other(error))),
            Self::SharedDyn => {
                let shared: Arc<dyn Error + Send + Sync> = Arc::from(error);
                Box::new(shared)
            }
            Self::Boxed => Box::new(Box::new(io::Error::other(error))),
            Self::Outer => Box::new(Outer(error)),
            Self::Transparent => Box::new(Transparent(Outer(error))),
            Self::Anyhow => anyhow::Error::new(Outer(error)).context("context").into(),
            Self::NotSent => Box::new(NotSent::new(error)),
            Self::Unsent => Box::new(Unsent::new((), error)),
            Self::Connect => Box::new(ConnectError::new(error)),
        }
    }
}

const KINDS: &[io::ErrorKind] = &[
    io::ErrorKind::Other,
    io::ErrorKind::InvalidData,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::TimedOut,
    io::ErrorKind::PermissionDenied,
    io::ErrorKind::NotConnected,
];

fn layer() -> impl Strategy<Value = Layer> {
    prop_oneof![
        4 => proptest::sample::select(KINDS).prop_map(Layer::Io),
        1 => Just(Layer::Shared),
        1 => Just(Layer::SharedDyn),
        1 => Just(Layer::Boxed),
        1 => Just(Layer::Outer),
        1 => Just(Layer::Transparent),
        1 => Just(Layer::Anyhow),
        1 => Just(Layer::NotSent),
        1 => Just(Layer::Unsent),
        1 => Just(Layer::Connect),
    ]
}

fn leaf() -> impl Strategy<Value = Option<i32>> {
    // `None`: an error of no known type.
    prop_oneof![Just(None), (0..200_i32).prop_map(Some)]
}

fn chain(leaf: Option<i32>, layers: &[Layer]) -> BoxError {
    let leaf: BoxError = match leaf {
        Some(code) => Box::new(io::Error::from_raw_os_error(code)),
        None => Box::new(fmt::Error),
    };
    layers.iter().fold(leaf, |error, layer| layer.wrap(error))
}

proptest! {
    #[test]
    fn proof_is_never_made_up(leaf in leaf(), layers in prop::collection::vec(layer(), 0..12)) {
        let found = classify(&*chain(leaf, &layers));
        let proved = layers.iter().any(|layer| layer.is_proof());
        if let Some(found) = found {
            prop_assert_eq!(found.sent() == Sent::No, proved, "{:?}", found);
        }
    }

    #[test]
    fn wrapping_never_takes_proof_away_and_never_adds_any(
        leaf in leaf(),
        layers in prop::collection::vec(layer(), 0..8),
        more in layer(),
    ) {
        let before = classify(&*chain(leaf, &layers));
        let after = classify(&*more.wrap(chain(leaf, &layers)));
        if let Some(before) = before {
            let after = after.expect("still a connection error");
            if before.sent() == Sent::No || more.is_proof() {
                prop_assert_eq!(after.sent(), Sent::No);
            } else {
                prop_assert_eq!(after.sent(), Sent::Maybe);
            }
        }
    }

    #[test]
    fn no_errno_is_proof(code in any::<i32>()) {
        if let Some(found) = classify(&io::Error::from_raw_os_error(code)) {
            // On Windows the resolver's errors have codes of their own.
            prop_assert!(found.sent() == Sent::Maybe || found.kind() == ConnErrorKind::Dns);
        }
    }
}
