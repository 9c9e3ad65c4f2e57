#![cfg_attr(docsrs, feature(doc_cfg))]
//! A tower layer that keeps messages from being lost when a connection breaks.

pub mod classify;
mod policy;
pub mod reconnect;
mod request;
#[cfg(feature = "tcp")]
#[cfg_attr(docsrs, doc(cfg(feature = "tcp")))]
pub mod tcp;

pub use classify::{ConnError, ConnErrorKind, Outlook, Sent, classify, is_conn_error};
pub use reconnect::Reconnect;
pub use request::{ConnectError, NotSent, Unsent};

/// A boxed error, as everywhere in tower.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;
