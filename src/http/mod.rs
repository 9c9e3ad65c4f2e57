//! Pieces for HTTP clients.

#[cfg(feature = "hyper-conn")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper-conn")))]
pub mod connection;
mod idempotent;

pub use idempotent::Idempotent;
