use bytes::Bytes;
use tower_conn_retry::outbox::{Durability, MemoryStore, test_store, test_store_killed};

use super::tools::{Directory, open};

#[test]
fn the_store_in_memory_conforms() {
    test_store(Durability::Memory, |_| MemoryStore::<Bytes>::new());
}

#[test]
fn the_store_on_disk_conforms() {
    let directory = Directory::in_memory();
    test_store(Durability::Durable, |name| {
        open(&directory.file(name)).unwrap()
    });
}

#[test]
fn the_store_on_disk_needs_no_good_end() {
    let directory = Directory::in_memory();
    let copy = |from: &str, to: &str| {
        std::fs::copy(directory.file(from), directory.file(to)).unwrap();
    };
    test_store_killed(|name| open(&directory.file(name)).unwrap(), copy);
}
