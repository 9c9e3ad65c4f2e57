//! The outbox's store on disk: real files, with real faults.

#![cfg(all(
    unix,
    feature = "outbox-disk",
    feature = "test-util",
    feature = "reqwest",
    feature = "serde"
))]
#![allow(unreachable_pub, clippy::unwrap_used)]

mod outbox_disk {
    mod bounds;
    mod broken;
    mod codecs;
    mod conformance;
    mod damage;
    mod flips;
    mod fuzz;
    mod locks;
    mod model;
    mod refused;
    mod salvage;
    mod tools;
}
