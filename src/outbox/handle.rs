use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tower_service::Service;

#[cfg(feature = "outbox-disk")]
use super::OutboxError;
use super::book::Book;
use super::shared::{Attached, Shared};
use super::worker::Worker;
use super::{DeadLetter, OutboxBuilder, Receipt, Ticket};
use crate::{BoxError, ConnErrorPolicy, RequestModel, service};

/// Owns the requests that could not be answered, and delivers them when their links are back.
///
/// A handle; its clones are the same outbox. It is made before the layer and given to it with
/// [`outbox`](crate::RetryOnConnErr::outbox). See the [module's documentation](crate::outbox).
pub struct Outbox<Req> {
    pub(super) shared: Arc<Shared<Req>>,
}

impl<Req: Send + 'static> Outbox<Req> {
    /// Keeps messages in memory, with all the defaults.
    pub fn in_memory() -> Self {
        Self::builder().in_memory()
    }

    /// Keeps messages in a file, with all the defaults. An empty file is a new outbox, as
    /// [there](OutboxBuilder::open).
    ///
    /// # Errors
    ///
    /// Those of [`OutboxBuilder::open`].
    #[cfg(feature = "outbox-disk")]
    #[cfg_attr(docsrs, doc(cfg(feature = "outbox-disk")))]
    pub fn open(
        path: impl AsRef<std::path::Path>,
        codec: impl crate::Codec<Req>,
    ) -> Result<Self, OutboxError> {
        Self::builder().open(path, codec)
    }

    /// An outbox with settings.
    pub fn builder() -> OutboxBuilder<Req> {
        OutboxBuilder::new()
    }

    pub(super) fn new(shared: Arc<Shared<Req>>) -> Self {
        Self { shared }
    }

    /// How many messages it owns.
    pub fn len(&self) -> usize {
        self.shared.counted().len
    }

    /// Whether it owns none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of its messages, by [`Replayable::size_hint`](crate::Replayable::size_hint).
    pub fn bytes(&self) -> usize {
        self.shared.counted().bytes
    }

    /// Tells what becomes of each message from now on. One who does not keep up misses some
    /// (`RecvError::Lagged`): the last 1,024 are kept.
    pub fn receipts(&self) -> broadcast::Receiver<Receipt> {
        self.shared.receipts()
    }

    /// Takes out the messages that will not be delivered, oldest first.
    ///
    /// They are kept in memory until somebody asks, within limits of their own that are as large as the
    /// outbox's, in number and bytes; of more the oldest are [lost](Self::lost_letters).
    pub fn dead_letters(&self) -> Vec<DeadLetter<Req>> {
        self.shared.book().dead.take_all()
    }

    /// Waits for the next message that will not be delivered, and takes it out.
    ///
    /// It waits for ever if there is none any more, even when the outbox was [closed](Self::close). If
    /// the future is dropped, no message goes with it.
    pub async fn next_dead_letter(&self) -> DeadLetter<Req> {
        self.shared.next_dead().await
    }

    /// How many dead letters are lost, since the outbox was opened: there was no room for them any more, and
    /// nobody had taken them. What they were about was told by [receipts](Self::receipts) alone.
    pub fn lost_letters(&self) -> u64 {
        self.shared.book().dead.lost
    }

    /// Removes the messages that can't be read ([`Outcome::Unreadable`](super::Outcome)), and says how many
    /// there were. Until then they stay where they are, in case a later version of the program can read
    /// them.
    pub fn discard_unreadable(&self) -> usize {
        self.shared.discard_unreadable()
    }

    /// Waits until the outbox is empty, which may be never: all messages were answered, or are among
    /// the dead letters, and none of them is in the file any more. If the process is killed from then
    /// on, none of them is delivered a second time.
    ///
    /// What can't be removed (no room on the disk) is tried again each second. Dropping the future has
    /// no effect.
    pub async fn flush(&self) {
        self.shared.adopt();
        self.shared.until(Book::is_done).await;
    }

    /// Ends the outbox: [flushes](Self::flush) it for so long at most, then stops the delivery and hands
    /// out what is left, oldest first. An outbox on disk keeps it too, and delivers it after a restart.
    ///
    /// What was delivered until then is out of the file. (If that can't be written, for want of room
    /// say, it is tried once more and then left: it is delivered a second time after a restart.) The
    /// file is closed, and can be opened again at once, whoever still has a handle or the service.
    ///
    /// Calls that need the outbox fail from the first poll on with
    /// [`Reason::Closed`](crate::Reason::Closed), and so do calls that begin then. A message whose
    /// attempt is in flight when the time is over is handed out, though it may have arrived.
    ///
    /// What the store can't read, not even when it is asked once more, is not handed out, and stays in it.
    ///
    /// What the store takes to read what is left, and to end, comes on top of the limit. It is little for a
    /// file; a [store of your own](crate::outbox::Store) that may block for long should have a limit of its own.
    ///
    /// If the future is dropped, the outbox takes no calls any more but is not closed; call it again.
    pub async fn close(&self, limit: Duration) -> Vec<Req> {
        self.shared.close();
        let _ = tokio::time::timeout(limit, self.flush()).await;
        self.shared.stop();
        let idle = |book: &Book<Req>| book.workers == 0 && book.puts == 0;
        self.shared.until(idle).await;
        let left = self.shared.take_all().await;
        left.into_iter().map(|message| message.request).collect()
    }

    /// Delivers through this service.
    pub(crate) fn attach<S, P, R>(&self, service: &Arc<service::Shared<S, P>>)
    where
        S: Service<Req> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<BoxError>,
        P: ConnErrorPolicy<Req> + 'static,
        R: RequestModel<Req> + 'static,
    {
        let runtime = Handle::current();
        let delivers = service.clone();
        self.shared.attach(Attached {
            table: service.table.clone(),
            copy: R::try_clone,
            start: Box::new(move |outbox, destination, other| {
                let worker = Worker::<S, P, R, Req>::new(outbox, delivers.clone(), destination);
                other.unwrap_or(&runtime).spawn(worker.work());
            }),
        });
    }

    /// The number of the next call.
    pub(crate) fn first(&self) -> Ticket {
        Ticket::new(self.shared.first)
    }
}

impl<Req> Clone for Outbox<Req> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<Req: Send + 'static> fmt::Debug for Outbox<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("len", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}
