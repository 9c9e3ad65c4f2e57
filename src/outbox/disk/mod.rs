//! An outbox's messages in one file, which outlives the process.
//!
//! # The engine
//!
//! [redb](https://docs.rs/redb) 2.6. It was chosen by measurement among embedded stores that are kept and run
//! on this crate's oldest Rust: messages of 64 bytes, each commit synced, one run on 2 busy cores:
//!
//! | | redb 2.6 | SQLite (rusqlite 0.37, WAL) | fjall 2.11 | persy 1.8 |
//! |---|--:|--:|--:|--:|
//! | puts per second, one per commit | 5,400 | 800 | 2,100 | 1,200 |
//! | 10 per commit | 42,000 | 28,000 | 31,000 | 22,000 |
//! | 1,000 per commit | 380,000 | 430,000 | 430,000 | 41,000 |
//! | removals per second, 1,000 per commit | 450,000 | 510,000 | 330,000 | 20,000 |
//! | opening a million | 5 ms | 1 ms | 124 ms | 170 ms |
//! | a million take on disk | 270 MiB | 85 MiB | 47 MiB | 149 MiB |
//! | on disk it is | one file | three files, and C code | a directory | one file |
//!
//! `cargo bench --bench outbox_disk --features outbox-disk` compares this store with the engine alone: puts take 1.1 to 1.6
//! times as long, removals 0.9 to 1.1.
//!
//! # Faults
//!
//! A commit is all or nothing, and durable when it returns. When a file is opened, the engine's checksums
//! over all its pages are looked at; a message has another of its own, which is looked at each time it is
//! read. What is damaged is refused as a whole, or, a message alone, shown as one that can't be read.
//! If the engine falls back to the commit before the last one, although the last one was whole once,
//! the file is refused too. (That is noticed after any end of the process. After a crash of the
//! machine, a last commit that was cut off and one that was damaged later may look the same.)
//!
//! [`salvage`] makes a new file of what is intact.
//!
//! The engine panics on some damaged files. Such a panic is caught and is an error; the panic hook
//! runs all the same, and a program built with `panic = "abort"` ends.
//!
//! The free space in a file is used again, and given back when the file is opened, or large and empty.

mod engine;
mod fault;
mod file;
mod head;
mod index;
mod record;
mod salvage;
mod store;

pub use salvage::{Salvage, salvage};
pub use store::DiskStore;
