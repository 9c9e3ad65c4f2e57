//! A bit flips in a small file, at bytes that carry data: the file is refused, or all is there, or what can't be read
//! is shown as such.
//!
//! Sampled: each byte of the heads (this crate's page, and the first 512 bytes of the engine's part) that carries data,
//! and one in three of the others that do. To open a killed process's file takes the engine 8 ms, so all of
//! them would take a minute. `OUTBOX_FLIP_EVERY=1` takes really all bytes of the file, in hours.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::damage::{Tally, written};
use super::tools::{Directory, hush};

const PAGE: usize = 4_096;
const ZEROS: [u8; PAGE] = [0; PAGE];

/// Every byte so near to one that is neither 0 nor 255 may be part of a number or of a row.
const NEAR: usize = 8;

/// So many bytes from the beginning are the heads.
const HEADS: usize = PAGE + 512;

/// Every how many bytes behind the heads there is a flip, of those that carry data and of the others; at most so many
/// as this variable says.
const DATA: usize = 3;
const OTHERS: usize = 4_099;
const VARIABLE: &str = "OUTBOX_FLIP_EVERY";

/// Where a bit is flipped. A file has up to 2.7 MB, and all but some thousand bytes are empty pages (zeros) and the
/// engine's maps of those (ones); one in 4,099 of these is another place of each page.
fn offsets(intact: &[u8]) -> Vec<usize> {
    let most = std::env::var(VARIABLE).map_or(OTHERS, |number| number.parse().unwrap());
    let mut near_data = vec![false; intact.len()];
    let is_data = |at: &usize| ![0, 255].contains(&intact[*at]);
    for at in (0..intact.len()).filter(is_data) {
        let end = intact.len().min(at + NEAR + 1);
        near_data[at.saturating_sub(NEAR)..end].fill(true);
    }
    let every = |at: &usize| match near_data[*at] {
        true if *at < HEADS => 1,
        true => DATA.min(most),
        false => OTHERS.min(most),
    };
    (0..intact.len()).filter(|at| at % every(at) == 0).collect()
}

/// The file without what the last look made of it. Pages of zeros are not written, which saves nearly all of
/// the time.
fn restore(path: &Path, bytes: &[u8]) {
    let file = File::create(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (page, bytes) in (0..).zip(bytes.chunks(PAGE)) {
        if bytes != &ZEROS[..bytes.len()] {
            file.write_all_at(bytes, page * PAGE as u64).unwrap();
        }
    }
}

fn flip(clean: bool) {
    hush();
    let directory = Directory::in_memory();
    let (count, len) = (12, 40);
    let mut bytes = written(&directory, count, len, clean);
    fs::remove_file(directory.file("written")).unwrap();
    let path = directory.file("damaged");
    let mut random = fastrand::Rng::with_seed(u64::from(clean));
    let mut tally = Tally::default();
    let offsets = offsets(&bytes);
    for at in &offsets {
        let at = *at;
        let bit = random.u32(..8);
        bytes[at] ^= 1 << bit;
        restore(&path, &bytes);
        tally.look(&path, count, len, &format!("bit {bit} of byte {at}"));
        bytes[at] ^= 1 << bit;
    }
    let flips = offsets.len();
    eprintln!(
        "{} bytes, {flips} flips, clean: {clean}: {tally:?}",
        bytes.len()
    );
    assert!(tally.refused > 300, "{tally:?}");
    assert!(tally.whole > 500, "{tally:?}");
    assert_eq!(tally.refused + tally.whole + tally.in_part, flips);
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_does_no_harm() {
    flip(true);
}

#[test]
fn a_flipped_bit_anywhere_in_the_file_of_a_killed_process_is_noticed_or_does_no_harm() {
    flip(false);
}
