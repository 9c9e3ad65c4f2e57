//! Windows, Apple's systems and FreeBSD, through netwatcher, which needs no thread for it and no run
//! loop. It tells of addresses, and on Windows of none whose interface is down.

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
