use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::shared::{Settings, Shared};
use super::store::Store;
use super::{MemoryStore, Outbox, OutboxError};
use crate::{Limits, WhenFull};

/// The settings of an [`Outbox`].
pub struct OutboxBuilder<Req> {
    pub(super) settings: Settings,
    requests: PhantomData<fn(Req)>,
}

impl<Req: Send + 'static> OutboxBuilder<Req> {
    pub(super) fn new() -> Self {
        Self {
            settings: Settings {
                limits: Limits::new(),
                when_full: WhenFull::Reject,
                max_age: None,
                survive_cancel: false,
            },
            requests: PhantomData,
        }
    }

    /// How much it owns at most. Default: [`Limits::new`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = limits;
        self
    }

    /// What happens to a request when the limits are reached. Default: [`WhenFull::Reject`]. What
    /// is dropped for a newer one is among the [dead letters](Outbox::dead_letters). A call whose own
    /// message would be dropped, as all others are on their way, fails with
    /// [`Reason::QueueFull`](crate::Reason::QueueFull).
    #[must_use]
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.settings.when_full = when_full;
        self
    }

    /// How long a message is kept. Default: without end. What is older is among the
    /// [dead letters](Outbox::dead_letters), unless an attempt is in flight, which may succeed.
    ///
    /// The time runs while the outbox is open, over all restarts. It stands still while it is closed
    /// or the machine sleeps, and does not look at the date. Of a process that is killed the last minute may not
    /// count.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.settings.max_age = Some(age);
        self
    }

    /// Whether a request moves to the outbox when its caller drops the call's future. Default: no,
    /// it vanishes.
    ///
    /// It costs a second copy of each request. One that may have been sent and is not idempotent, or has had
    /// all its [attempts](crate::RetryOnConnErr::max_attempts), is among the
    /// [dead letters](Outbox::dead_letters) instead. The policy is not asked whether it is to be replayed, as
    /// nothing has failed.
    #[must_use]
    pub fn survive_cancel(mut self, survive: bool) -> Self {
        self.settings.survive_cancel = survive;
        self
    }

    /// Keeps messages in memory: they end with the process.
    pub fn in_memory(self) -> Outbox<Req> {
        match self.with_store(MemoryStore::new()) {
            Ok(outbox) => outbox,
            Err(_) => unreachable!("memory can always be read"),
        }
    }

    /// Keeps messages in a file, which is made if it is not there. What is in it goes first.
    ///
    /// An empty file, of 0 bytes, is a new outbox: it is what `mktemp` and `File::create` leave. So one that was
    /// truncated to nothing, with all messages lost, can't be told from it, and opens as well.
    ///
    /// # Errors
    ///
    /// The file can't be opened, is damaged, is open already, or is of a newer version.
    #[cfg(feature = "outbox-disk")]
    #[cfg_attr(docsrs, doc(cfg(feature = "outbox-disk")))]
    pub fn open(
        self,
        path: impl AsRef<std::path::Path>,
        codec: impl crate::Codec<Req>,
    ) -> Result<Outbox<Req>, OutboxError> {
        self.with_store(super::DiskStore::open(path, codec)?)
    }

    /// Keeps messages in a store of your own.
    ///
    /// # Errors
    ///
    /// The store can't be read, or the thread for it can't be started.
    pub fn store(self, store: impl Store<Req>) -> Result<Outbox<Req>, OutboxError> {
        self.with_store(store)
    }

    fn with_store(self, store: impl Store<Req>) -> Result<Outbox<Req>, OutboxError> {
        Ok(Outbox::new(Shared::open(Box::new(store), self.settings)?))
    }
}

impl<Req> fmt::Debug for OutboxBuilder<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxBuilder")
            .field("limits", &self.settings.limits)
            .field("when_full", &self.settings.when_full)
            .field("max_age", &self.settings.max_age)
            .field("survive_cancel", &self.settings.survive_cancel)
            .finish_non_exhaustive()
    }
}
