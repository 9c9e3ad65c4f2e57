//! `DefaultPolicy` and its recognisers.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use tower_conn_retry::ConnErrorKind::{Closed, Other, Reset};
use tower_conn_retry::{ConnError, ConnectError, DefaultPolicy, NotSent, Outlook, Sent};

use super::wrappings::{Outer, Transparent};

#[derive(Debug)]
enum Broker {
    Gone,
    Refused(io::Error),
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broker")
    }
}

impl Error for Broker {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Gone => None,
            Self::Refused(error) => Some(error),
        }
    }
}

fn policy() -> DefaultPolicy {
    DefaultPolicy::new().recognize(|error: &Broker| match error {
        Broker::Gone => Some(ConnError::new(Closed)),
        Broker::Refused(_) => None,
    })
}

#[test]
fn a_new_policy_classifies_as_the_function_does() {
    static POLICY: DefaultPolicy = DefaultPolicy::new();
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(POLICY.classify(&reset), Some(ConnError::new(Reset)));
    assert_eq!(POLICY.classify(&Broker::Gone), None);
    assert_eq!(
        format!("{:?}", policy()),
        "DefaultPolicy { recognizers: 1 }"
    );
}

#[test]
fn a_recogniser_is_asked_at_every_step() {
    let expected = Some(ConnError::new(Closed));
    let policy = policy();
    assert_eq!(policy.classify(&Broker::Gone), expected);
    assert_eq!(policy.classify(&io::Error::other(Broker::Gone)), expected);
    assert_eq!(policy.classify(&Arc::new(Broker::Gone)), expected);
    assert_eq!(policy.classify(&Box::new(Broker::Gone)), expected);
    let shared: Arc<dyn Error + Send + Sync> = Arc::new(Outer(Box::new(Broker::Gone)));
    assert_eq!(policy.classify(&shared), expected);
    // Clones share it.
    assert_eq!(policy.clone().classify(&Broker::Gone), expected);
}

#[test]
fn a_recogniser_that_says_none_lets_the_walk_go_on() {
    let inner = io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(
        policy().classify(&Broker::Refused(inner)),
        Some(ConnError::new(Reset))
    );
}

#[test]
fn proof_by_position_holds_for_a_recognisers_verdict() {
    let policy = policy();
    let expected = Some(ConnError::new(Closed).with_sent(Sent::No));
    assert_eq!(policy.classify(&ConnectError::new(Broker::Gone)), expected);
    assert_eq!(policy.classify(&NotSent::new(Broker::Gone)), expected);
}

#[test]
fn a_recogniser_comes_before_the_built_in_families() {
    let permanent = ConnError::new(Other).with_outlook(Outlook::Permanent);
    let policy = DefaultPolicy::new()
        .recognize(move |error: &io::Error| {
            (error.kind() == io::ErrorKind::ConnectionReset).then_some(permanent)
        })
        .recognize(|_: &io::Error| Some(ConnError::new(Closed)));
    let reset = io::Error::from(io::ErrorKind::ConnectionReset);
    assert_eq!(policy.classify(&reset), Some(permanent));
    let odd = io::Error::from(io::ErrorKind::InvalidInput);
    assert_eq!(policy.classify(&odd), Some(ConnError::new(Closed)));
}

/// What a transparent wrapper hides from the walk, a recogniser of the wrapper's type can show.
#[test]
fn a_recogniser_sees_into_a_transparent_wrapper() {
    let error = Transparent(Broker::Gone);
    assert_eq!(policy().classify(&error), None);
    let inner = policy();
    let policy =
        DefaultPolicy::new().recognize(move |error: &Transparent<Broker>| inner.classify(&error.0));
    assert_eq!(policy.classify(&error), Some(ConnError::new(Closed)));
}
