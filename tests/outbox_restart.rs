//! An outbox on disk through restarts, with stores that fail and disks that are full.

#![cfg(all(unix, feature = "outbox-disk"))]
#![allow(unreachable_pub, dead_code, clippy::unwrap_used)]

#[path = "link/peer.rs"]
mod peer;

mod outbox_restart {
    mod bounds;
    mod close;
    mod failing;
    mod flush;
    mod full;
    #[cfg(feature = "http")]
    mod keys;
    mod leftovers;
    mod life;
    mod panics;
    mod tickets;
    mod told;
    mod versions;
}
