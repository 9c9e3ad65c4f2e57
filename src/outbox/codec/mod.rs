//! From requests to bytes and back.

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "serde")]
mod json;
#[cfg(feature = "http")]
mod parts;
#[cfg(any(feature = "reqwest", feature = "reqwest-0-12"))]
mod reqwest;

#[cfg(feature = "http")]
pub use http::HttpCodec;
#[cfg(feature = "serde")]
pub use json::Json;

use bytes::Bytes;

use crate::BoxError;

/// Turns requests into bytes and back, for an outbox on disk.
///
/// ```
/// use tower_conn_retry::{BoxError, Codec};
///
/// /// Stores the text as it is.
/// struct Plain;
///
/// impl Codec<String> for Plain {
///     fn encode(&self, request: &String, into: &mut Vec<u8>) -> Result<(), BoxError> {
///         into.extend_from_slice(request.as_bytes());
///         Ok(())
///     }
///
///     fn decode(&self, bytes: &[u8]) -> Result<String, BoxError> {
///         Ok(String::from_utf8(bytes.to_vec())?)
///     }
/// }
/// ```
pub trait Codec<Req>: Send + 'static {
    /// Appends the request.
    ///
    /// # Errors
    ///
    /// It can't be stored. The call fails with [`Reason::NotStored`](crate::Reason::NotStored), and its error tells
    /// this one. A panic is an error like others.
    fn encode(&self, request: &Req, into: &mut Vec<u8>) -> Result<(), BoxError>;

    /// The request that these bytes were made of.
    ///
    /// # Errors
    ///
    /// They are not a request, or not for this version of the program. The message stays where it is, and is
    /// passed over ([`Outcome::Unreadable`](super::Outcome)).
    fn decode(&self, bytes: &[u8]) -> Result<Req, BoxError>;
}

/// Stores bytes as they are: for `Bytes`, `Vec<u8>` and `String`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Raw;

impl Codec<Bytes> for Raw {
    fn encode(&self, request: &Bytes, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.extend_from_slice(request);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Bytes, BoxError> {
        Ok(Bytes::copy_from_slice(bytes))
    }
}

impl Codec<Vec<u8>> for Raw {
    fn encode(&self, request: &Vec<u8>, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.extend_from_slice(request);
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Vec<u8>, BoxError> {
        Ok(bytes.to_vec())
    }
}

impl Codec<String> for Raw {
    fn encode(&self, request: &String, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.extend_from_slice(request.as_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<String, BoxError> {
        Ok(String::from_utf8(bytes.to_vec())?)
    }
}
