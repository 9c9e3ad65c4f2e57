#![cfg_attr(docsrs, feature(doc_cfg))]
//! A tower layer that keeps messages from being lost when a connection breaks.

mod backoff;
pub mod classify;
mod config;
mod error;
mod future;
mod layer;
mod link;
mod observe;
mod policy;
pub mod reconnect;
mod request;
mod service;
#[cfg(feature = "tcp")]
#[cfg_attr(docsrs, doc(cfg(feature = "tcp")))]
pub mod tcp;

#[cfg(feature = "backoff")]
pub use backoff::FromBackoff;
pub use backoff::{Backoff, ExponentialBackoff};
pub use classify::{ConnError, ConnErrorKind, Outlook, Sent, classify, is_conn_error};
pub use error::{AttemptTimeout, Error, FailedAttempt, Reason};
pub use future::ResponseFuture;
pub use layer::{Inline, RetryOnConnErr};
pub use link::{Limits, LinkStatus, Links, LinksSummary, WhenFull};
pub use observe::Observer;
pub use policy::{ConnErrorPolicy, Decision, DefaultPolicy, Failure, PolicyFn, policy_fn};
pub use reconnect::Reconnect;
pub use request::{
    ByClone, ByTrait, ConnectError, Destination, NotSent, Replayable, RequestModel, Unsent,
};
pub use service::ConnRetry;

/// A boxed error, as everywhere in tower.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
