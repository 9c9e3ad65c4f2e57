//! Links that are woken when the system says that the network has changed.

#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(
    any(windows, target_vendor = "apple", target_os = "freebsd"),
    path = "addresses.rs"
)]
mod changes;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::sleep;

use self::changes::Changes;
use super::Table;

/// The shortest time between two wakes. What happens meanwhile waits for its end.
const PAUSE: Duration = Duration::from_millis(250);

/// Wakes the links of a layer whenever the network changes for the better: the future that
/// [`Links::wake_on_network_change`](crate::Links::wake_on_network_change) makes. Spawn it, or poll it beside something
/// else. Dropping it ends the watch.
#[must_use = "it does nothing unless it is spawned or polled"]
pub struct NetworkWatch {
    // Boxed, so that it can be polled wherever it is, whatever the system needs.
    run: Pin<Box<dyn Future<Output = io::Result<()>> + Send>>,
}

impl NetworkWatch {
    pub(super) fn new(table: &Arc<Table>) -> io::Result<Self> {
        let run = run(Changes::new()?, Arc::downgrade(table));
        Ok(Self { run: Box::pin(run) })
    }
}

impl Future for NetworkWatch {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.run.as_mut().poll(cx)
    }
}

impl fmt::Debug for NetworkWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkWatch").finish_non_exhaustive()
    }
}

async fn run(mut changes: Changes, links: Weak<Table>) -> io::Result<()> {
    loop {
        changes.next().await?;
        // Twice, since what else it takes (a route, the addresses of the resolvers) may come a moment
        // later. What is told during the pauses is read after them.
        for _ in 0..2 {
            match links.upgrade() {
                Some(links) => links.wake(),
                None => return Ok(()),
            }
            sleep(PAUSE).await;
        }
    }
}
