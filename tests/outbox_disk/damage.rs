//! Whatever happens to the bytes of a file: it is refused, or all is there, or what can't be read is shown as such.
//! Never a panic, never a message that was not put, never one missing without a word.

use std::fs;
use std::path::{Path, PathBuf};

use tower_conn_retry::outbox::{OutboxErrorKind, Store};

use super::tools::{Directory, all, hush, message, open, put, remove, tickets};

/// Some messages, put by several commits, and what the file is then.
pub(crate) fn written(directory: &Directory, count: u64, len: usize, clean: bool) -> Vec<u8> {
    let path = directory.file("written");
    let mut store = open(&path).unwrap();
    for ticket in 0..count / 2 {
        put(&mut store, vec![message(ticket, len)]).unwrap();
    }
    remove(&mut store, [0, 2]);
    let rest = (count / 2..count).map(|ticket| message(ticket, len));
    put(&mut store, rest.collect()).unwrap();
    if clean {
        drop(store);
        return fs::read(path).unwrap();
    }
    // As a killed process leaves it.
    fs::read(path).unwrap()
}

fn expected(count: u64) -> Vec<u64> {
    (0..count)
        .filter(|ticket| ![0, 2].contains(ticket))
        .collect()
}

/// What became of it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) refused: usize,
    pub(crate) whole: usize,
    pub(crate) in_part: usize,
}

impl Tally {
    /// Opens what is at the path, and looks.
    pub(crate) fn look(&mut self, path: &Path, count: u64, len: usize, what: &str) {
        let mut store = match open(path) {
            Ok(store) => store,
            Err(error) => {
                let damaged = error.kind() == OutboxErrorKind::Corrupt;
                assert!(damaged, "{what}: {error:?}");
                self.refused += 1;
                return;
            }
        };
        let found = match all(&mut store) {
            Ok(found) => found,
            Err(_) => {
                self.refused += 1;
                return;
            }
        };
        let mut intact = true;
        let mut order = Vec::new();
        for found in found {
            match found {
                Ok(found) => {
                    let put = message(found.ticket.get(), len);
                    assert_eq!(found.request, put.request, "{what}: wrong bytes");
                    order.push(found.ticket.get());
                }
                Err(ticket) => {
                    intact = false;
                    order.push(ticket.get());
                }
            }
        }
        if intact {
            assert_eq!(order, expected(count), "{what}: lost or invented");
            self.whole += 1;
        } else {
            assert_eq!(order.len(), expected(count).len(), "{what}: lost");
            self.in_part += 1;
        }
    }
}

fn damaged(directory: &Directory, bytes: &[u8]) -> PathBuf {
    let path = directory.file("damaged");
    fs::write(&path, bytes).unwrap();
    path
}

/// At each byte of this crate's own page and the beginning of the engine's part, and once in each page
/// after that.
#[test]
fn a_file_cut_off_anywhere_is_noticed() {
    hush();
    let directory = Directory::in_memory();
    let (count, len) = (12, 40);
    for clean in [true, false] {
        let intact = written(&directory, count, len, clean);
        fs::remove_file(directory.file("written")).unwrap();
        let mut tally = Tally::default();
        let ends = (1..4096 + 512).chain((4096..intact.len()).step_by(4096 - 1));
        for end in ends {
            let path = damaged(&directory, &intact[..end]);
            tally.look(&path, count, len, &format!("cut off at {end}"));
        }
        eprintln!("{} bytes, clean: {clean}: {tally:?}", intact.len());
        assert!(tally.refused > 4_600, "{tally:?}");
    }
}

#[test]
fn a_large_file_with_some_damage_is_refused_or_read_in_part() {
    hush();
    let directory = Directory::in_memory();
    let (count, len) = (4_000, 200);
    let intact = written(&directory, count, len, true);
    let mut random = fastrand::Rng::with_seed(4);
    let mut tally = Tally::default();
    for round in 0..150 {
        let mut bytes = intact.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            match random.u8(..4) {
                0 => bytes[at] ^= 1 << random.u32(..8),
                1 => bytes[at] = random.u8(..),
                2 => {
                    let end = bytes.len().min(at + random.usize(..5_000));
                    bytes[at..end].fill(random.u8(..));
                }
                _ => bytes.truncate(at),
            }
            if bytes.is_empty() {
                bytes.push(1); // an empty file is a new one
            }
        }
        let path = damaged(&directory, &bytes);
        tally.look(&path, count, len, &format!("round {round}"));
    }
    eprintln!("{} bytes: {tally:?}", intact.len());
    assert!(tally.refused > 50, "{tally:?}");
}

#[test]
fn what_is_no_outbox_is_refused_and_stays_as_it_is() {
    let directory = Directory::new();
    let text = b"Dear diary, ".repeat(1_000);
    for bytes in [&text[..], &text[..5], &[0; 4096], &[0; 10_000]] {
        let path = damaged(&directory, bytes);
        let error = open(&path).unwrap_err();
        assert_eq!(error.kind(), OutboxErrorKind::Corrupt);
        assert!(error.to_string().contains("damaged"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn an_empty_file_is_a_new_outbox() {
    let directory = Directory::new();
    let path = damaged(&directory, &[]);
    let mut store = open(&path).unwrap();
    assert_eq!(store.contents().unwrap().next, 0);
    put(&mut store, vec![message(0, 5)]).unwrap();
    drop(store);
    assert_eq!(tickets(&mut open(&path).unwrap()), [0]);
}

#[test]
fn a_file_of_a_newer_version_is_refused_and_stays_as_it_is() {
    let directory = Directory::new();
    let mut bytes = written(&directory, 4, 10, true);
    bytes[16] = 2; // the version
    let sum = crc32fast::hash(&bytes[..36]).to_le_bytes();
    bytes[36..40].copy_from_slice(&sum);
    let path = damaged(&directory, &bytes);
    let error = open(&path).unwrap_err();
    assert_eq!(error.kind(), OutboxErrorKind::NewerVersion);
    assert_eq!(error.path(), Some(path.as_path()));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "the file has version 2");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_process_that_was_killed_while_it_made_the_file_does_no_harm() {
    let directory = Directory::new();
    let path = directory.file("written");
    drop(open(&path).unwrap());
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] = 0; // not ready
    let sum = crc32fast::hash(&bytes[..36]).to_le_bytes();
    bytes[36..40].copy_from_slice(&sum);
    for len in [4096, 5000, bytes.len()] {
        let path = damaged(&directory, &bytes[..len]);
        let mut store = open(&path).unwrap();
        put(&mut store, vec![message(0, 5)]).unwrap();
        drop(store);
        assert_eq!(tickets(&mut open(&path).unwrap()), [0]);
    }
}

#[test]
fn the_last_commit_is_not_given_up_silently() {
    let directory = Directory::new();
    let path = directory.file("outbox");
    let mut store = open(&path).unwrap();
    put(&mut store, vec![message(0, 10)]).unwrap();
    let before = fs::read(&path).unwrap();
    put(&mut store, vec![message(1, 10)]).unwrap();
    let after = fs::read(&path).unwrap();
    drop(store);
    // The engine's part is of before, only this crate's own page is of after: as if the engine
    // had fallen back.
    let old = [&after[..4096], &before[4096..]].concat();
    let error = open(&damaged(&directory, &old)).unwrap_err();
    assert_eq!(error.kind(), OutboxErrorKind::Corrupt);
    assert_eq!(
        tickets(&mut open(&damaged(&directory, &before)).unwrap()),
        [0]
    );
}

#[test]
fn a_message_that_is_damaged_while_the_file_is_open_is_shown_as_one_that_cannot_be_read() {
    use std::os::unix::fs::FileExt;

    let directory = Directory::in_memory();
    let path = directory.file("outbox");
    let (count, len) = (1_000, 20_000); // more than is cached
    let mut store = open(&path).unwrap();
    put(
        &mut store,
        (0..count).map(|ticket| message(ticket, len)).collect(),
    )
    .unwrap();
    drop(store);
    let mut store = open(&path).unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    let hurt: Vec<u64> = (0..count).step_by(10).collect();
    let mut from = 0;
    for ticket in &hurt {
        let pattern = ticket.to_le_bytes().repeat(8);
        let is_one = |at: &usize| bytes[*at..].starts_with(&pattern);
        // They are nearly in order, and a look at each byte of the file for each of them takes a minute.
        let at = (from..bytes.len()).chain(0..from).find(is_one).unwrap();
        file.write_at(&[0xEE], at as u64 + 64).unwrap();
        from = at;
    }
    let mut unreadable = 0;
    for (ticket, found) in (0..).zip(all(&mut store).unwrap()) {
        match found {
            Ok(found) => assert_eq!(found.request, message(ticket, len).request),
            Err(found) => {
                assert_eq!(found.get(), ticket);
                assert!(hurt.contains(&ticket));
                unreadable += 1;
            }
        }
    }
    assert!(unreadable > 20, "{unreadable}");
    // They can be removed like others.
    remove(&mut store, 0..count);
    assert!(store.contents().unwrap().destinations.is_empty());
}
