//! The first page of the file. It is this crate's own; the engine has all behind it.

use super::record::crc;

/// What the engine's part of the file is moved by.
pub(super) const LEN: u64 = 4096;
/// A sector of its own, as the rest of the head is never written again.
pub(super) const ACKNOWLEDGED_AT: u64 = 2048;
/// Two sectors, of which the lower number is written next.
pub(super) const RESERVED_AT: [u64; 2] = [2560, 3072];

const MAGIC: &[u8; 16] = b"tower-conn-retry";
const VERSION: u32 = 1;
const FIELDS: usize = 36;

/// The part of the engine's own head that never changes. It has no checksum there, and a wrong one makes the
/// engine take memory for a file that is far larger.
pub(super) type Geometry = [u8; 12];
/// Where it is in the engine's part.
pub(super) const GEOMETRY_AT: u64 = 12;

/// What the first page says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// The file was being made when the process ended. There are no messages in it.
    Unfinished,
    /// The commit of this number, or a later one, was acknowledged.
    Ready {
        acknowledged: u64,
        geometry: Geometry,
    },
    /// A version that is not known yet.
    Newer(u32),
    /// Damaged, or not an outbox.
    Corrupt,
}

impl Head {
    pub(super) fn read(page: &[u8]) -> Self {
        let Some((fields, rest)) = page.split_at_checked(FIELDS) else {
            return Self::Corrupt;
        };
        let (magic, numbers) = fields.split_at(MAGIC.len());
        if magic != MAGIC || rest.first_chunk() != Some(&crc([fields]).to_le_bytes()) {
            return Self::Corrupt;
        }
        match (number(numbers), number(&numbers[4..])) {
            (VERSION, 0) => Self::Unfinished,
            (VERSION, 1) => Self::Ready {
                acknowledged: number_at(page, ACKNOWLEDGED_AT),
                geometry: numbers[8..].first_chunk().copied().unwrap_or_default(),
            },
            (VERSION, _) | (0, _) => Self::Corrupt,
            (version, _) => Self::Newer(version),
        }
    }

    /// The page, but for what was acknowledged.
    pub(super) fn page(ready: Option<Geometry>) -> Vec<u8> {
        let mut page = MAGIC.to_vec();
        page.extend(VERSION.to_le_bytes());
        page.extend(u32::from(ready.is_some()).to_le_bytes());
        page.extend(ready.unwrap_or_default());
        page.extend(crc([page.as_slice()]).to_le_bytes());
        page.resize(LEN as usize, 0);
        page
    }
}

/// A number as it is written at a place of its own.
///
/// That of a commit, when it was acknowledged, is not synced: it serves to notice that the engine fell
/// back to an older commit although the newest one was whole once.
pub(super) fn number_with_sum(number: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (start, sum) = bytes.split_at_mut(8);
    start.copy_from_slice(&number.to_le_bytes());
    sum.copy_from_slice(&crc([&*start]).to_le_bytes());
    bytes
}

/// Damaged, it says nothing; the messages are not at stake.
pub(super) fn number_at(page: &[u8], at: u64) -> u64 {
    let bytes = page.get(at as usize..).unwrap_or_default();
    let Some(number) = bytes.first_chunk() else {
        return 0;
    };
    let number = u64::from_le_bytes(*number);
    let intact = bytes.starts_with(&number_with_sum(number));
    if intact { number } else { 0 }
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |it| u32::from_le_bytes(*it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newer() -> Vec<u8> {
        let mut page = Head::page(Some([7; 12]));
        page[16] = 2;
        let sum = crc([&page[..FIELDS]]).to_le_bytes();
        page[FIELDS..FIELDS + 4].copy_from_slice(&sum);
        page
    }

    #[test]
    fn a_head_is_read_as_written() {
        assert_eq!(Head::read(&Head::page(None)), Head::Unfinished);
        let mut page = Head::page(Some([7; 12]));
        let ready = |acknowledged| Head::Ready {
            acknowledged,
            geometry: [7; 12],
        };
        assert_eq!(Head::read(&page), ready(0));
        page[ACKNOWLEDGED_AT as usize..][..12].copy_from_slice(&number_with_sum(u64::MAX));
        assert_eq!(Head::read(&page), ready(u64::MAX));
        assert_eq!(Head::read(&newer()), Head::Newer(2));
    }

    #[test]
    fn no_flipped_bit_makes_another_head() {
        for ready in [None, Some([7; 12])] {
            for bit in 0..(FIELDS + 4) * 8 {
                let mut page = Head::page(ready);
                page[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Head::read(&page), Head::Corrupt, "bit {bit}");
            }
        }
        assert_eq!(Head::read(&[0; LEN as usize]), Head::Corrupt);
        assert_eq!(Head::read(b"short"), Head::Corrupt);
    }
}
