//! Chains of any shape: the walk ends, never panics, and makes no proof up.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use proptest::prelude::*;
use tower_conn_retry::ConnErrorKind::{AddressUnavailable, Local, Other, Refused};
use tower_conn_retry::{BoxError, ConnErrorKind, ConnectError, Sent, classify, is_conn_error};

use super::generator::{self, Cycle, Layer};

#[test]
fn a_cycle_ends() {
    assert_eq!(classify(&Cycle), None);
    let found = classify(&io::Error::new(io::ErrorKind::ConnectionReset, Cycle));
    assert_eq!(found.map(|found| found.kind()), Some(ConnErrorKind::Reset));
    let found = classify(&ConnectError::new(Cycle));
    assert_eq!(found.map(|found| found.sent()), Some(Sent::No));
}

/// Panics where it says so. (std's hook writes of it all the same.)
#[derive(Debug)]
struct Panics {
    in_source: bool,
}

impl fmt::Display for Panics {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("in Display, as is part of the test")
    }
}

impl Error for Panics {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        assert!(!self.in_source, "in source(), as is part of the test");
        None
    }
}

/// As each of them does that is asked for its text, or for what is below it.
#[test]
fn a_panic_of_an_errors_own_is_no_panic_of_the_walks() {
    let uncategorized = io::Error::from_raw_os_error(i32::MAX).kind();
    let reset = io::ErrorKind::ConnectionReset;
    for in_source in [false, true] {
        let panics = || Panics { in_source };
        assert_eq!(classify(&panics()), None);
        for (kind, expected) in [
            (io::ErrorKind::Other, None),
            (io::ErrorKind::InvalidData, None),
            (uncategorized, None),
            (reset, Some(ConnErrorKind::Reset)),
        ] {
            let found = classify(&io::Error::new(kind, panics()));
            assert_eq!(found.map(|found| found.kind()), expected, "{kind:?}");
        }
        let found = classify(&ConnectError::new(io::Error::other(panics())));
        assert_eq!(found.map(|found| found.sent()), Some(Sent::No));
        // What is known so far is kept.
        let error = tower_conn_retry::NotSent::new(io::Error::new(reset, panics()));
        let found = classify(&error).map(|found| (found.kind(), found.sent()));
        assert_eq!(found, Some((ConnErrorKind::Reset, Sent::No)));
    }
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

fn layers(most: usize) -> impl Strategy<Value = Vec<Layer>> {
    prop::collection::vec(any::<u8>().prop_map(Layer::of), 0..most)
}

fn chain(leaf: BoxError, layers: &[Layer]) -> BoxError {
    layers.iter().fold(leaf, |error, layer| layer.wrap(error))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn proof_is_never_made_up(leaf in any::<(u8, u8)>(), layers in layers(24)) {
        let (leaf, mut proved) = generator::leaf(leaf.0, leaf.1);
        proved |= layers.iter().any(|layer| layer.is_proof());
        if let Some(found) = classify(&*chain(leaf, &layers)) {
            prop_assert!(found.sent() == Sent::Maybe || proved, "{:?}", found);
        }
    }

    /// Proof that is further out counts whatever is inside, and however deep it is.
    #[test]
    fn proof_is_never_lost(
        leaf in any::<(u8, u8)>(),
        inside in layers(100),
        outside in layers(24),
        proof in prop::sample::select(vec![Layer::NotSent, Layer::Unsent, Layer::Connect]),
    ) {
        let (leaf, _) = generator::leaf(leaf.0, leaf.1);
        let error = chain(proof.wrap(chain(leaf, &inside)), &outside);
        let found = classify(&*error);
        if let Some(found) = found {
            prop_assert_eq!(found.sent(), Sent::No);
        }
        let is_connection_error = proof == Layer::Connect || outside.contains(&Layer::Connect);
        prop_assert!(found.is_some() || !is_connection_error);
    }

    /// Rules 3 to 5, one layer at a time.
    #[test]
    fn what_a_wrapping_may_change(
        leaf in any::<(u8, u8)>(),
        inside in layers(12),
        layer in any::<u8>().prop_map(Layer::of),
    ) {
        let chain = || chain(generator::leaf(leaf.0, leaf.1).0, &inside);
        let before = classify(&*chain());
        let after = classify(&*layer.wrap(chain()));
        match (before, after) {
            _ if layer.is_neutral() => prop_assert_eq!(before, after),
            (Some(before), Some(after)) if layer.is_proof() => {
                let counts_there = layer == Layer::Connect
                    && matches!(after.kind(), Local | AddressUnavailable | Refused);
                prop_assert!(after.kind() == before.kind() || counts_there, "{after:?}");
                prop_assert_eq!(after.sent(), Sent::No);
            }
            // Any kind says more than this one.
            (Some(before), Some(after)) if before.kind() == Other => {
                prop_assert_eq!(after.sent(), before.sent());
            }
            (Some(before), after) => prop_assert_eq!(after, Some(before)),
            (None, Some(after)) if layer.is_proof() => {
                prop_assert_eq!((layer, after.sent()), (Layer::Connect, Sent::No));
            }
            (None, Some(after)) => prop_assert_eq!(after.sent() == Sent::No, inside.iter().any(|layer| layer.is_proof())),
            (None, None) => prop_assert!(layer != Layer::Connect),
        }
    }

    /// Neutral wrappings by the dozen, as far as the walk goes.
    #[test]
    fn depth_changes_nothing(leaf in any::<(u8, u8)>(), layers in layers(60)) {
        let layers: Vec<_> = layers.into_iter().filter(|layer| layer.is_neutral()).collect();
        let steps: usize = layers.iter().map(|layer| layer.steps()).sum();
        prop_assume!(steps < 56);
        let make = || generator::leaf(leaf.0, leaf.1).0;
        prop_assert_eq!(classify(&*chain(make(), &layers)), classify(&*make()));
    }

    #[test]
    fn no_errno_is_proof(code in any::<i32>()) {
        if let Some(found) = classify(&io::Error::from_raw_os_error(code)) {
            // On Windows the resolver's errors have codes of their own.
            prop_assert!(found.sent() == Sent::Maybe || found.kind() == ConnErrorKind::Dns);
        }
    }
}
