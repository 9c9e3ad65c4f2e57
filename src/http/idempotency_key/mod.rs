//! Keys by which a server can tell a replay from another request.

mod key;
mod layer;

pub use layer::{IdempotencyKeyLayer, IdempotencyKeyService, KeyedRequest};

use http::{HeaderMap, HeaderName, HeaderValue};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Whether there is a key. No server can tell two requests apart by an empty one.
pub(crate) fn has_key(headers: &HeaderMap) -> bool {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    keys.any(|key| !is_empty(key))
}

/// Nothing but blanks, also within the quotes that the draft wants (§2.1).
fn is_empty(key: &HeaderValue) -> bool {
    let key = key.as_bytes().trim_ascii();
    let quoted = key
        .strip_prefix(b"\"")
        .and_then(|key| key.strip_suffix(b"\""));
    quoted.unwrap_or(key).trim_ascii().is_empty()
}
