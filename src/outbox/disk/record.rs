//! The rows of the table, each with a checksum of its own: the engine has checksums too, but looks at them only
//! when it opens a file.
//!
//! A key is two numbers: (0, 0) is the row about the file, (0, n) destination n, (n, t) its message of
//! ticket t.

use std::time::Duration;

use crate::Destination;

/// A row's key.
pub(super) type Key = (u64, u64);

/// A row is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damaged;

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("its checksum is wrong")
    }
}

impl std::error::Error for Damaged {}

/// What there is to know about the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Meta {
    /// Above all tickets.
    pub(super) next: u64,
    /// Nanoseconds.
    pub(super) clock: u64,
    /// How often something was committed.
    pub(super) commits: u64,
    /// The number of the last new destination.
    pub(super) destinations: u64,
}

impl Meta {
    pub(super) const KEY: Key = (0, 0);

    pub(super) fn write(self) -> Vec<u8> {
        let numbers = [self.next, self.clock, self.commits, self.destinations];
        seal(Self::KEY, &[], &numbers.map(u64::to_le_bytes).concat())
    }

    pub(super) fn read(row: &[u8]) -> Result<Self, Damaged> {
        let mut rest = open(Self::KEY, &[], row)?;
        let meta = Self {
            next: take(&mut rest)?,
            clock: take(&mut rest)?,
            commits: take(&mut rest)?,
            destinations: take(&mut rest)?,
        };
        if rest.is_empty() {
            Ok(meta)
        } else {
            Err(Damaged)
        }
    }
}

/// What there is for a destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Queue {
    pub(super) number: u64,
    pub(super) len: u64,
    pub(super) bytes: u64,
}

impl Queue {
    pub(super) fn key(self) -> Key {
        (0, self.number)
    }

    pub(super) fn write(self, destination: &Destination) -> Vec<u8> {
        let mut row = [self.len, self.bytes].map(u64::to_le_bytes).concat();
        row.extend(name_of(destination));
        seal(self.key(), &[], &row)
    }

    pub(super) fn read(number: u64, row: &[u8]) -> Result<(Destination, Self), Damaged> {
        let mut rest = open((0, number), &[], row)?;
        let queue = Self {
            number,
            len: take(&mut rest)?,
            bytes: take(&mut rest)?,
        };
        Ok((destination_of(rest)?, queue))
    }
}

/// One of a message's attempts may have been sent.
const MAYBE_SENT: u8 = 1;

/// A message has a limit of its own for its age.
const LIMITED: u8 = 2;

/// What is written before a message's own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) size: u64,
    /// Nanoseconds.
    pub(super) since: u64,
    pub(super) attempts: u32,
    pub(super) maybe_sent: bool,
    /// Nanoseconds.
    pub(super) max_age: Option<u64>,
}

impl Envelope {
    const LEN: usize = 21;

    /// Leaves room for the checksum; [`Self::seal`] writes it when the message's bytes are there.
    pub(super) fn write(self, row: &mut Vec<u8>) {
        row.extend([0; SUM]);
        row.extend(self.size.to_le_bytes());
        row.extend(self.since.to_le_bytes());
        row.extend(self.attempts.to_le_bytes());
        let limited = self.max_age.map_or(0, |_| LIMITED);
        row.push(u8::from(self.maybe_sent) | limited);
        row.extend(self.max_age.into_iter().flat_map(u64::to_le_bytes));
    }

    pub(super) fn seal(key: Key, destination: &Destination, row: &mut [u8]) {
        let (sum, rest) = row.split_at_mut(SUM);
        sum.copy_from_slice(&sum_of(key, &name_of(destination), rest));
    }

    pub(super) fn read<'a>(
        key: Key,
        destination: &Destination,
        row: &'a [u8],
    ) -> Result<(Self, &'a [u8]), Damaged> {
        let rest = open(key, &name_of(destination), row)?;
        let (mut fields, mut message) = rest.split_at_checked(Self::LEN).ok_or(Damaged)?;
        let flags = fields.last().copied().unwrap_or_default();
        let envelope = Self {
            size: take(&mut fields)?,
            since: take(&mut fields)?,
            attempts: u32::from_le_bytes(*fields.first_chunk().ok_or(Damaged)?),
            maybe_sent: flags & MAYBE_SENT > 0,
            max_age: match flags & LIMITED {
                0 => None,
                _ => Some(take(&mut message)?),
            },
        };
        Ok((envelope, message))
    }

    /// Its size, which counts also when the rest is damaged.
    pub(super) fn size(row: &[u8]) -> u64 {
        let size = row.get(SUM..).and_then(|it| it.first_chunk());
        size.map_or(0, |size| u64::from_le_bytes(*size))
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

pub(super) fn crc<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    parts.into_iter().for_each(|part| hasher.update(part));
    hasher.finalize()
}

const SUM: usize = 4;

fn seal(key: Key, name: &[u8], rest: &[u8]) -> Vec<u8> {
    let sum = sum_of(key, name, rest);
    [&sum[..], rest].concat()
}

fn open<'a>(key: Key, name: &[u8], row: &'a [u8]) -> Result<&'a [u8], Damaged> {
    let (sum, rest) = row.split_at_checked(SUM).ok_or(Damaged)?;
    let intact = sum == sum_of(key, name, rest);
    if intact { Ok(rest) } else { Err(Damaged) }
}

fn sum_of(key: Key, name: &[u8], rest: &[u8]) -> [u8; SUM] {
    let (one, other) = (key.0.to_le_bytes(), key.1.to_le_bytes());
    crc([&one[..], &other, name, rest]).to_le_bytes()
}

/// The one peer is not a destination without a name.
fn name_of(destination: &Destination) -> Vec<u8> {
    match destination.name() {
        None => vec![0],
        Some(name) => [b"\x01", name.as_bytes()].concat(),
    }
}

fn destination_of(name: &[u8]) -> Result<Destination, Damaged> {
    match name {
        [0] => Ok(Destination::default()),
        [1, name @ ..] => {
            let name = std::str::from_utf8(name).map_err(|_| Damaged)?;
            Ok(Destination::new(name))
        }
        _ => Err(Damaged),
    }
}

fn take(bytes: &mut &[u8]) -> Result<u64, Damaged> {
    let (number, rest) = bytes.split_first_chunk().ok_or(Damaged)?;
    *bytes = rest;
    Ok(u64::from_le_bytes(*number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flips(row: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        (0..row.len() * 8).map(|bit| {
            let mut row = row.to_vec();
            row[bit / 8] ^= 1 << (bit % 8);
            row
        })
    }

    #[test]
    fn rows_are_read_as_written_and_no_flipped_bit_is_believed() {
        let meta = Meta {
            next: 7,
            clock: u64::MAX,
            commits: 3,
            destinations: 2,
        };
        let row = meta.write();
        assert_eq!(Meta::read(&row), Ok(meta));
        assert!(flips(&row).all(|row| Meta::read(&row) == Err(Damaged)));

        let queue = Queue {
            number: 4,
            len: 2,
            bytes: 128,
        };
        for destination in [
            Destination::default(),
            Destination::new(""),
            Destination::new("the peer"),
        ] {
            let row = queue.write(&destination);
            assert_eq!(Queue::read(4, &row), Ok((destination, queue)));
            assert_eq!(Queue::read(5, &row), Err(Damaged));
            assert!(flips(&row).all(|row| Queue::read(4, &row) == Err(Damaged)));
        }
    }

    #[test]
    fn a_message_is_believed_only_where_it_was_put() {
        let envelope = Envelope {
            size: 80,
            since: 9,
            attempts: 2,
            maybe_sent: true,
            max_age: Some(7),
        };
        let (peer, other) = (Destination::default(), Destination::new(""));
        let mut row = Vec::new();
        envelope.write(&mut row);
        row.extend(b"hello");
        Envelope::seal((1, 5), &peer, &mut row);
        assert_eq!(
            Envelope::read((1, 5), &peer, &row),
            Ok((envelope, &b"hello"[..]))
        );
        assert_eq!(Envelope::size(&row), 80);
        assert_eq!(Envelope::read((1, 6), &peer, &row), Err(Damaged));
        assert_eq!(Envelope::read((2, 5), &peer, &row), Err(Damaged));
        assert_eq!(Envelope::read((1, 5), &other, &row), Err(Damaged));
        let cut = (0..row.len()).map(|len| row[..len].to_vec());
        for bad in flips(&row).chain(cut) {
            assert_eq!(Envelope::read((1, 5), &peer, &bad), Err(Damaged));
        }
    }
}
