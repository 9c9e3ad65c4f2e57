//! A policy of one's own: for a client library with an error type that nobody has heard of, for
//! messages that are not all worth the same, and for requests that have to be signed anew.
//!
//! ```text
//! cargo run --example policy
//! ```
//!
//! What it claims, it checks; so it ends with an error if something is not as it says.

use std::error::Error;
use std::time::Duration;

use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_conn_retry::{
    BoxError, ConnError, ConnErrorKind, ConnErrorPolicy, Decision, DefaultPolicy,
    ExponentialBackoff, Failure, Reason, Replayable, RetryOnConnErr, Sent,
};

use broker::{Broker, BrokerError};

/// A message to the broker, which is the request.
#[derive(Debug, Clone)]
struct Message {
    text: &'static str,
    /// An alarm has to arrive. A temperature is out of date in a moment.
    is_alarm: bool,
    /// The broker accepts each signature once.
    signature: String,
}

impl Replayable for Message {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }
}

/// Says only what is special; all else is as by default.
struct BrokerPolicy {
    errors: DefaultPolicy,
}

impl BrokerPolicy {
    fn new() -> Self {
        // Knows the crate's own list of connection errors, and these. It finds them wherever they
        // are in an error's chain of sources.
        let errors = DefaultPolicy::new().recognize(|error: &BrokerError| match error {
            // Nobody was there, so the message was not sent. Say so only if it's certain.
            BrokerError::NoBroker => {
                Some(ConnError::new(ConnErrorKind::Unreachable).with_sent(Sent::No))
            }
            BrokerError::SessionLost => Some(ConnError::new(ConnErrorKind::Closed)),
            // These are about the message, not about the connection.
            BrokerError::TooLong | BrokerError::UsedSignature => None,
        });
        Self { errors }
    }
}

impl ConnErrorPolicy<Message> for BrokerPolicy {
    /// What is a connection error?
    fn classify(&self, error: &(dyn Error + 'static)) -> Option<ConnError> {
        self.errors.classify(error)
    }

    /// It is one. Is this message replayed?
    fn decide(&self, failure: &Failure<'_, Message>) -> Decision {
        if failure.request().is_alarm || failure.attempts() < 2 {
            failure.default_decision()
        } else {
            Decision::Fail
        }
    }

    /// It is. What has to be renewed?
    fn prepare(&self, message: &mut Message, attempt: u32) {
        message.signature = sign(message.text, attempt);
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let broker = Broker::default();
    let publish = service_fn({
        let broker = broker.clone();
        move |message: Message| {
            let result = broker.publish(message.text, &message.signature);
            async { result }
        }
    });
    let layer = RetryOnConnErr::new()
        .policy(BrokerPolicy::new())
        .backoff(ExponentialBackoff::new().cap(Duration::from_millis(20)));
    let client = ServiceBuilder::new().layer(layer).service(publish.clone());

    println!("1. Without the policy nobody knows what a lost session is: it is passed through.");
    let plain = ServiceBuilder::new().layer(RetryOnConnErr).service(publish);
    broker.fail_next([BrokerError::SessionLost]);
    let Err(error) = plain.oneshot(alarm("smoke")).await else {
        return Err("it was replayed all the same".into());
    };
    println!("   Error: {error}");
    assert_eq!(error.reason(), Reason::NotConnError);

    println!("2. With the policy it is a connection error, and the alarm gets through.");
    broker.fail_next([
        BrokerError::SessionLost,
        BrokerError::NoBroker,
        BrokerError::NoBroker,
    ]);
    client.clone().oneshot(alarm("fire")).await?;
    println!("   The broker has {:?}", broker.messages());
    // `prepare` has signed each attempt anew.
    assert_eq!(broker.messages(), ["fire (fire signed for attempt 4)"]);

    println!("3. A temperature gets one replay, as the policy decides.");
    broker.fail_next([BrokerError::NoBroker, BrokerError::NoBroker]);
    let Err(error) = client.clone().oneshot(temperature("21 °C")).await else {
        return Err("it was replayed a second time".into());
    };
    println!("   Error: {error}");
    assert_eq!(error.reason(), Reason::PolicyFailed);
    assert_eq!(error.attempts(), 2);
    assert_eq!(error.sent(), Sent::No);

    println!("4. What is wrong with the message itself is no matter of the connection.");
    broker.fail_next([BrokerError::TooLong]);
    let Err(error) = client.clone().oneshot(alarm("…")).await else {
        return Err("it was replayed".into());
    };
    println!("   Error: {error}");
    assert_eq!(error.reason(), Reason::NotConnError);
    assert!(matches!(error.downcast_ref(), Some(BrokerError::TooLong)));
    assert_eq!(broker.messages().len(), 1);

    Ok(())
}

fn alarm(text: &'static str) -> Message {
    Message {
        text,
        is_alarm: true,
        signature: sign(text, 1),
    }
}

fn temperature(text: &'static str) -> Message {
    Message {
        is_alarm: false,
        ..alarm(text)
    }
}

fn sign(text: &str, attempt: u32) -> String {
    format!("{text} signed for attempt {attempt}")
}

/// Stands for a client library that this crate does not know.
mod broker {
    use std::collections::{HashSet, VecDeque};
    use std::fmt;
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

    #[derive(Clone, Default)]
    pub(crate) struct Broker(Arc<Mutex<State>>);

    #[derive(Default)]
    struct State {
        failures: VecDeque<BrokerError>,
        signatures: HashSet<String>,
        messages: Vec<String>,
    }

    #[derive(Debug)]
    pub(crate) enum BrokerError {
        NoBroker,
        SessionLost,
        TooLong,
        UsedSignature,
    }

    impl Broker {
        pub(crate) fn publish(&self, text: &str, signature: &str) -> Result<(), BrokerError> {
            let mut state = self.state();
            if !state.signatures.insert(signature.to_owned()) {
                return Err(BrokerError::UsedSignature);
            }
            if let Some(failure) = state.failures.pop_front() {
                return Err(failure);
            }
            state.messages.push(format!("{text} ({signature})"));
            Ok(())
        }

        /// The next messages will fail in this way.
        pub(crate) fn fail_next(&self, failures: impl IntoIterator<Item = BrokerError>) {
            self.state().failures.extend(failures);
        }

        pub(crate) fn messages(&self) -> Vec<String> {
            self.state().messages.clone()
        }

        fn state(&self) -> MutexGuard<'_, State> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }

    impl fmt::Display for BrokerError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::NoBroker => "no broker there",
                Self::SessionLost => "the broker ended the session",
                Self::TooLong => "the message is too long",
                Self::UsedSignature => "this signature was used before",
            })
        }
    }

    impl std::error::Error for BrokerError {}
}
