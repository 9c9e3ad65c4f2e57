//! A file grows with what is in it, not with what went through it.

use std::time::Duration;

use tower_conn_retry::Destination;
use tower_conn_retry::outbox::{Changes, Store, Ticket};

use super::tools::{Directory, message, open, put, remove, tickets};

#[test]
fn a_read_shows_so_many_bytes_but_always_one_message() {
    let directory = Directory::in_memory();
    let mut store = open(&directory.file("outbox")).unwrap();
    let sizes = [3 << 20, 10, 3 << 20, 400_000, 400_000, 400_000, 400_000, 5];
    let messages = (0..).zip(sizes).map(|(ticket, len)| message(ticket, len));
    put(&mut store, messages.collect()).unwrap();
    let mut reads = Vec::new();
    let mut after = None;
    loop {
        let mut shown = Vec::new();
        let read = store.read(&Destination::default(), after, 64, &mut |ticket, _| {
            shown.push(ticket.get());
            after = Some(ticket);
        });
        read.unwrap();
        if shown.is_empty() {
            break;
        }
        reads.push(shown);
    }
    assert_eq!(reads, [vec![0], vec![1, 2], vec![3, 4, 5], vec![6, 7]]);
}

#[test]
fn a_file_does_not_grow_with_what_went_through() {
    let directory = Directory::in_memory();
    let path = directory.file("outbox");
    let size = || std::fs::metadata(&path).unwrap().len();
    let mut store = open(&path).unwrap();
    let mut largest = 0;
    for round in 0..200_u64 {
        let tickets = round * 500..round * 500 + 500;
        let gone = round.saturating_sub(2) * 500..round.saturating_sub(1) * 500;
        let at = |ticket| (Destination::default(), Ticket::new(ticket));
        let changes = Changes {
            put: tickets.map(|ticket| message(ticket, 64)).collect(),
            remove: gone.map(at).collect(),
            clock: Duration::ZERO,
        };
        store.commit(changes).unwrap();
        if round == 20 {
            largest = size();
        }
    }
    eprintln!(
        "{} KiB after 10,000 messages, {} KiB after 100,000",
        largest >> 10,
        size() >> 10
    );
    assert!(size() <= largest, "{} after {largest}", size());
}

#[test]
fn a_file_that_was_large_is_made_small_when_it_is_empty_or_opened() {
    let directory = Directory::in_memory();
    let path = directory.file("outbox");
    let size = || std::fs::metadata(&path).unwrap().len();
    let fill = |store: &mut _, from: u64| {
        let messages = (from..from + 300).map(|ticket| message(ticket, 100_000));
        put(store, messages.collect()).unwrap();
    };
    let mut store = open(&path).unwrap();
    fill(&mut store, 0);
    let full = size();
    assert!(full > 30_000_000);
    remove(&mut store, 0..300);
    assert!(size() < full / 4, "{} of {full}", size());
    fill(&mut store, 300);
    remove(&mut store, 300..598);
    drop(store);
    let mut store = open(&path).unwrap();
    assert!(size() < full / 4, "{} of {full}", size());
    assert_eq!(tickets(&mut store), [598, 599]);
}
