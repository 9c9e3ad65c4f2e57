//! Keys by which a server can tell a replay from another request.

mod key;
mod layer;

pub use layer::{IdempotencyKeyLayer, IdempotencyKeyService, KeyedRequest};

use http::HeaderName;

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
