//! What is intact of a damaged file is kept; what is damaged is never believed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tower_conn_retry::Destination;
use tower_conn_retry::outbox::disk::{Salvage, salvage};
use tower_conn_retry::outbox::{Changes, Message, OutboxErrorKind, Store, Ticket};

use super::tools::{Directory, Disk, hush, message, open, put, remove};

fn named(name: &str, ticket: u64, len: usize) -> Message<Bytes> {
    Message {
        destination: Destination::new(name),
        since: Duration::from_secs(ticket),
        attempts: 3,
        maybe_sent: ticket % 2 == 1,
        max_age: None,
        ..message(ticket, len)
    }
}

/// Messages to the one peer and to `a`, in turns, of which some were delivered. The file as a process
/// that ends leaves it, or as one that is killed.
fn written(path: &Path, count: u64, len: usize, clean: bool) -> Vec<u8> {
    let mut store = open(path).unwrap();
    let all: Vec<_> = (0..count).collect();
    for tickets in all.chunks(count.div_ceil(8) as usize) {
        let message = |ticket: &u64| match ticket % 2 {
            0 => message(*ticket, len),
            _ => named("a", *ticket, len),
        };
        put(&mut store, tickets.iter().map(message).collect()).unwrap();
    }
    remove(&mut store, [0, 2]);
    let last = vec![(Destination::new("a"), Ticket::new(count - 1))];
    store
        .commit(Changes {
            put: vec![],
            remove: last,
            clock: Duration::from_secs(77),
        })
        .unwrap();
    if clean {
        drop(store);
        return fs::read(path).unwrap();
    }
    fs::read(path).unwrap()
}

/// All messages, which must be those that were put.
fn tickets(store: &mut Disk, len: usize) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for destination in [Destination::default(), Destination::new("a")] {
        let mut last = None;
        let read = store.read(&destination, None, usize::MAX, &mut |ticket, message| {
            let message = message.unwrap();
            let number = ticket.get();
            let put = match number % 2 {
                0 => super::tools::message(number, len),
                _ => named("a", number, len),
            };
            assert_eq!(message.destination, put.destination);
            assert_eq!(message.destination, destination);
            assert_eq!(message.request, put.request);
            assert_eq!((message.size, message.since), (put.size, put.since));
            assert_eq!(message.attempts, put.attempts);
            assert_eq!(message.maybe_sent, put.maybe_sent);
            assert!(last < Some(ticket), "in order");
            last = Some(ticket);
            found.insert(number);
        });
        read.unwrap();
    }
    found
}

fn live(count: u64) -> BTreeSet<u64> {
    let live = (0..count - 1).filter(|ticket| ![0, 2].contains(ticket));
    live.collect()
}

struct Case {
    directory: Directory,
    intact: Vec<u8>,
    count: u64,
    len: usize,
}

impl Case {
    fn new(count: u64, len: usize, clean: bool) -> Self {
        let directory = Directory::in_memory();
        let intact = written(&directory.file("written"), count, len, clean);
        Self {
            directory,
            intact,
            count,
            len,
        }
    }

    /// Salvages a damaged file. What was done, and the messages that are in the new one.
    fn salvage(&self, bytes: &[u8]) -> Option<(Salvage, BTreeSet<u64>)> {
        let path = self.directory.file("damaged");
        fs::write(&path, bytes).unwrap();
        let salvage = match salvage(&path) {
            Ok(salvage) => salvage,
            Err(error) => {
                assert_eq!(error.kind(), OutboxErrorKind::Corrupt, "{error:?}");
                assert_eq!(fs::read(&path).unwrap(), bytes, "it is as it was");
                return None;
            }
        };
        assert_eq!(fs::read(salvage.aside()).unwrap(), bytes, "it is kept");
        fs::remove_file(salvage.aside()).unwrap();
        let mut store = open(&path).unwrap();
        let found = tickets(&mut store, self.len);
        assert_eq!(found.len(), salvage.kept());
        assert!(found.iter().all(|ticket| *ticket < self.count), "invented");
        drop(store);
        fs::remove_file(&path).unwrap();
        Some((salvage, found))
    }
}

#[test]
fn of_an_intact_file_all_is_kept() {
    for clean in [true, false] {
        for (count, len) in [(12, 40), (5_000, 100), (40, 30_000)] {
            let case = Case::new(count, len, clean);
            let (salvage, found) = case.salvage(&case.intact).unwrap();
            assert!(found == live(count), "{count} of {len}, clean: {clean}");
            assert_eq!(salvage.lost(), 0);
        }
    }
}

#[test]
fn tickets_are_not_given_twice_and_the_clock_goes_on() {
    let directory = Directory::new();
    let path = directory.file("outbox");
    written(&path, 100, 10, true);
    let one = salvage(&path).unwrap();
    assert_eq!((one.kept(), one.lost()), (97, 0));
    let contents = open(&path).unwrap().contents().unwrap();
    assert_eq!(contents.next, 100, "the last one was removed");
    assert_eq!(contents.clock, Duration::from_secs(77));
    // Nothing is ever overwritten.
    let other = salvage(&path).unwrap();
    assert_ne!(one.aside(), other.aside());
    assert!(one.aside().exists() && other.aside().exists());
}

#[test]
fn damaged_messages_cost_no_others() {
    let case = Case::new(2_000, 100, true);
    let mut bytes = case.intact.clone();
    let hurt: BTreeSet<u64> = (300..2_000).step_by(400).collect();
    for ticket in &hurt {
        // All copies that the file has.
        let pattern = ticket.to_le_bytes().repeat(12);
        let is_one = |at: &usize| bytes[*at..].starts_with(&pattern);
        let places: Vec<_> = (0..bytes.len()).filter(is_one).collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| bytes[at + 60] ^= 1);
    }
    let path = case.directory.file("refused");
    fs::write(&path, &bytes).unwrap();
    assert_eq!(open(&path).unwrap_err().kind(), OutboxErrorKind::Corrupt);
    let (salvage, found) = case.salvage(&bytes).unwrap();
    let expected: BTreeSet<_> = live(2_000).difference(&hurt).copied().collect();
    assert!(found == expected, "{:?}", live(2_000).difference(&found));
    assert_eq!(salvage.lost(), hurt.len());
}

/// The file's first 39 pages, and one in four of the others, unless `OUTBOX_PAGE_EVERY` says another number.
fn every() -> usize {
    std::env::var("OUTBOX_PAGE_EVERY").map_or(4, |number| number.parse().unwrap())
}

#[test]
fn a_page_that_is_gone_costs_what_was_in_it() {
    hush();
    for clean in [true, false] {
        let case = Case::new(1_000, 100, clean);
        let (mut whole, mut most, mut refused) = (0, 0, 0);
        let every = every();
        let is_tried = |page: &usize| {
            // One of zeros would be no other.
            let is_empty = case.intact[page * 4096..][..4096] == [0; 4096];
            !is_empty && (page % every == 1 % every || *page < 40)
        };
        for page in (1..case.intact.len() / 4096).filter(is_tried) {
            let mut bytes = case.intact.clone();
            bytes[page * 4096..][..4096].fill(0);
            match case.salvage(&bytes) {
                None => refused += 1,
                Some((salvage, found)) => {
                    let lost = live(1_000).difference(&found).count();
                    assert!(salvage.lost() <= lost);
                    whole += usize::from(lost == 0);
                    most += usize::from(lost > 0 && lost < 60);
                }
            }
        }
        eprintln!("clean: {clean}: {refused} refused, {whole} whole, {most} but for a page");
        // The engine's head, and the pages by which all others are found.
        assert!(refused <= 3, "{refused}");
        assert!(whole > 10 && most > 10, "{whole} {most}");
    }
}

#[test]
fn any_damage_does_no_more_harm() {
    hush();
    for clean in [true, false] {
        let case = Case::new(500, 200, clean);
        let mut random = fastrand::Rng::with_seed(7 + u64::from(clean));
        let (mut salvaged, mut kept) = (0, 0);
        for _ in 0..150 {
            let mut bytes = case.intact.clone();
            for _ in 0..random.usize(1..6) {
                let at = match random.u8(..4) {
                    0 => random.usize(..bytes.len().min(16_384)), // where the heads are
                    _ => random.usize(..bytes.len()),
                };
                match random.u8(..5) {
                    0 => bytes[at] ^= 1 << random.u32(..8),
                    1 => bytes[at] = random.u8(..),
                    2 => {
                        let end = bytes.len().min(at + random.usize(..9_000));
                        bytes[at..end].fill(random.u8(..));
                    }
                    3 => {
                        let from = random.usize(..bytes.len());
                        let len = random.usize(..9_000).min(bytes.len() - at.max(from));
                        bytes.copy_within(from..from + len, at);
                    }
                    _ if random.bool() => bytes.truncate(at.max(1)),
                    _ => {}
                }
            }
            if let Some((_, found)) = case.salvage(&bytes) {
                salvaged += 1;
                kept += found.len();
            }
        }
        eprintln!("clean: {clean}: {salvaged} salvaged, {kept} messages");
        assert!(salvaged > 80, "{salvaged}");
        assert!(kept > salvaged * 250, "{kept}");
    }
}

#[test]
fn what_is_open_or_newer_or_no_outbox_is_refused_and_stays_as_it_is() {
    let directory = Directory::new();
    let path = directory.file("outbox");
    let store = open(&path).unwrap();
    assert_eq!(salvage(&path).unwrap_err().kind(), OutboxErrorKind::Locked);
    drop(store);
    let mut newer = fs::read(&path).unwrap();
    newer[16] = 2; // the version
    let sum = crc32fast::hash(&newer[..36]).to_le_bytes();
    newer[36..40].copy_from_slice(&sum);
    let text = b"Dear diary, ".repeat(1_000);
    for (bytes, kind) in [
        (&newer[..], OutboxErrorKind::NewerVersion),
        (&text[..], OutboxErrorKind::Corrupt),
        (&text[..5], OutboxErrorKind::Corrupt),
        (&[0; 10_000], OutboxErrorKind::Corrupt),
        (&[], OutboxErrorKind::Corrupt),
    ] {
        fs::write(&path, bytes).unwrap();
        assert_eq!(salvage(&path).unwrap_err().kind(), kind);
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
    let gone = salvage(directory.file("gone")).unwrap_err();
    assert_eq!(gone.kind(), OutboxErrorKind::Io);
    let files = fs::read_dir(directory.path()).unwrap();
    assert_eq!(files.count(), 1, "nothing is left behind");
}

#[test]
fn what_a_salvage_left_that_was_killed_is_in_nobodys_way() {
    let case = Case::new(12, 40, true);
    fs::write(case.directory.file("damaged.salvage"), b"half of it").unwrap();
    let (_, found) = case.salvage(&case.intact).unwrap();
    assert_eq!(found, live(12));
}
