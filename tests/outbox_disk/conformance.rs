use bytes::Bytes;
use tower_conn_retry::outbox::{Durability, MemoryStore, test_store};

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
