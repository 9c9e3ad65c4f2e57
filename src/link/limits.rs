/// How much may be held for all links of a layer together.
///
/// A limit of zero means that nothing is held: a request that would have to wait fails with
/// [`QueueFull`](crate::Reason::QueueFull).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    requests: usize,
    bytes: usize,
}

impl Limits {
    /// The defaults: 10,000 requests and 64 MiB.
    pub const fn new() -> Self {
        Self {
            requests: 10_000,
            bytes: 64 << 20,
        }
    }

    /// At most so many requests. Default: 10,000.
    #[must_use]
    pub const fn requests(self, requests: usize) -> Self {
        Self { requests, ..self }
    }

    /// At most so many bytes, by [`Replayable::size_hint`](crate::Replayable::size_hint). Default:
    /// 64 MiB.
    ///
    /// What is behind the body of an `http::Request`, a `Full<Bytes>` say, is not seen, and does not count.
    /// Put a `ReplayBodyLayer` above the layer, which counts what it keeps or will keep, or bound such requests
    /// by [`requests`](Self::requests).
    #[must_use]
    pub const fn bytes(self, bytes: usize) -> Self {
        Self { bytes, ..self }
    }

    /// Whether, beside so much, there is room for one more request of this size.
    pub(crate) fn have_room(&self, requests: usize, bytes: usize, size: usize) -> bool {
        let bytes = bytes.checked_add(size);
        requests < self.requests && bytes.is_some_and(|bytes| bytes <= self.bytes)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// What happens to a request that has to wait when the [`Limits`] are reached.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WhenFull {
    /// It fails with [`QueueFull`](crate::Reason::QueueFull).
    #[default]
    Reject,
    /// Its caller waits for a place, first come, first served: no new call gets one before it, and
    /// a large request that waits until it fits is not passed by smaller ones.
    Wait,
    /// The oldest request that is waiting, for any destination, fails with
    /// [`QueueFull`](crate::Reason::QueueFull). Never one whose attempt is in flight.
    DropOldest,
}
