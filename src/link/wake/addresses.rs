//! Windows, Apple's systems and FreeBSD, through netwatcher. There an interface that loses its network
//! loses its addresses too, so that it is enough to look at these.

use std::io;

use netwatcher::async_adapter::Tokio;
use netwatcher::{AsyncWatch, Error};

pub(super) struct Changes(AsyncWatch);

impl Changes {
    pub(super) fn new() -> io::Result<Self> {
        let watch = netwatcher::watch_interfaces_async::<Tokio>();
        watch.map(Self).map_err(|error| match error {
            Error::Io(error) => error,
            other => io::Error::other(other),
        })
    }

    /// Waits for a new address.
    pub(super) async fn next(&mut self) -> io::Result<()> {
        loop {
            let update = self.0.changed().await;
            if !update.is_initial && update.addrs_added().next().is_some() {
                return Ok(());
            }
        }
    }
}
