use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// What fails together: the one peer of a TCP client (the default), scheme and authority for HTTP.
///
/// Each destination has a link of its own, so that those that are down don't hold up the others.
/// Cheap to clone: one pointer.
///
/// ```
/// use tower_conn_retry::Destination;
///
/// assert_eq!(Destination::new("https://example.com").to_string(), "https://example.com");
/// assert_eq!(Destination::default().to_string(), "the peer");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Destination(Option<Arc<str>>);

impl Destination {
    /// The destination of this name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(Some(name.into()))
    }

    /// Its name; `None` for the one peer.
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The one peer costs nothing.
    pub(crate) const PEER_HASH: u64 = 1;

    /// Equal for equal destinations.
    #[inline]
    pub(crate) fn hash64(&self) -> u64 {
        match &self.0 {
            None => Self::PEER_HASH,
            Some(name) => hash_of_name(name),
        }
    }
}

fn hash_of_name(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.as_deref().unwrap_or("the peer"))
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Destination").field(&self.0).finish()
    }
}
