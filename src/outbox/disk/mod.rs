//! An outbox's messages in one file, which outlives the process.
//!
//! # The engine
//!
//! [redb](https://docs.rs/redb) 2.6. It was chosen by measurement among embedded stores that are kept and run
//! on this crate's oldest Rust: messages of 64 bytes, each commit synced, 2 cores, ext4:
//!
//! | | redb 2.6 | SQLite (rusqlite 0.37, WAL) | fjall 2.11 | persy 1.8 |
//! |---|--:|--:|--:|--:|
//! | puts per second, one per commit | 5,400 | 800 | 2,100 | 1,200 |
//! | 10 per commit | 42,000 | 28,000 | 31,000 | 22,000 |
//! | 1,000 per commit | 380,000 | 430,000 | 430,000 | 41,000 |
//! | crates that it brings | 2 | 10, and C | 30 | 15 |
//! | on disk | one file | three files | a directory | one file |
//!
//! # Faults
//!
//! A commit is all or nothing, and durable when it returns. Damage to the file is noticed when it is opened,
//! by the engine's checksums over every page; a record has another of its own, which is
//! checked each time it is read. One thing can't be told apart after a crash of the *machine*: a last
//! commit that was cut off, and one that was damaged later. Both are undone.

mod engine;
mod fault;
mod file;
mod head;
mod index;
mod record;
mod store;

pub use store::DiskStore;
