//! A system that can't be asked.

use std::io;

pub(super) enum Changes {}

impl Changes {
    pub(super) fn new() -> io::Result<Self> {
        let text = "changes of the network can't be watched on this system";
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    }

    pub(super) async fn next(&mut self) -> io::Result<()> {
        match *self {}
    }
}
