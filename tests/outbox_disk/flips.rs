//! A bit flips in a small file, at each byte that carries data: the file is refused, or all is there, or what can't be read
//! is shown as such.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::panic;
use std::path::Path;
use std::sync::Once;

use super::damage::{Tally, written};
use super::tools::Directory;

const PAGE: usize = 4_096;

/// Every byte so near to one that is neither 0 nor 255 may be part of a number or of a row.
const NEAR: usize = 8;

/// Every how many of the other bytes there is a flip, unless this variable says another number.
const EVERY: usize = 4_099;
const VARIABLE: &str = "OUTBOX_FLIP_EVERY";

/// Where a bit is flipped: at each byte that carries data. A file has up to 2.7 MB, and all but some thousand
/// bytes are empty pages (zeros) and the engine's maps of those (ones); of these one in 4,099 is taken, which is
/// another place of each page, as to open the file takes a millisecond or more. `OUTBOX_FLIP_EVERY=1` takes
/// really all, in hours.
fn offsets(intact: &[u8]) -> Vec<usize> {
    let every = std::env::var(VARIABLE).map_or(EVERY, |number| number.parse().unwrap());
    let mut chosen: Vec<_> = (0..intact.len()).map(|at| at % every == 0).collect();
    let is_data = |at: &usize| ![0, 255].contains(&intact[*at]);
    for at in (0..intact.len()).filter(is_data) {
        let end = intact.len().min(at + NEAR + 1);
        chosen[at.saturating_sub(NEAR)..end].fill(true);
    }
    (0..intact.len()).filter(|at| chosen[*at]).collect()
}

/// The file without what the last look made of it. Pages of zeros are not written, which saves nearly all of
/// the time.
fn restore(path: &Path, bytes: &[u8]) {
    let file = File::create(path).unwrap();
    file.set_len(bytes.len() as u64).unwrap();
    for (page, bytes) in (0..).zip(bytes.chunks(PAGE)) {
        if bytes.iter().any(|byte| *byte != 0) {
            file.write_all_at(bytes, page * PAGE as u64).unwrap();
        }
    }
}

/// The engine panics on damage, which the store makes an error of. What the panics print would take most of the
/// time.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let at = panic.location().map_or("", |location| location.file());
            if !at.contains("redb-") {
                others(panic);
            }
        }));
    });
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
    assert!(tally.refused > 500, "{tally:?}");
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
