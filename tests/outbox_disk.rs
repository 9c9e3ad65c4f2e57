//! The outbox's store on disk: faults of the file, of the disk and of the process.
#![cfg(all(
    feature = "outbox-disk",
    feature = "test-util",
    feature = "http",
    feature = "reqwest",
    feature = "serde"
))]
#![allow(missing_docs)]

#[path = "outbox_disk/bounds.rs"]
mod bounds;
#[path = "outbox_disk/codecs.rs"]
mod codecs;
#[path = "outbox_disk/conformance.rs"]
mod conformance;
#[path = "outbox_disk/damage.rs"]
mod damage;
#[path = "outbox_disk/fuzz.rs"]
mod fuzz;
#[path = "outbox_disk/locks.rs"]
mod locks;
#[path = "outbox_disk/model.rs"]
mod model;
#[path = "outbox_disk/refused.rs"]
mod refused;
#[path = "outbox_disk/tools.rs"]
mod tools;
