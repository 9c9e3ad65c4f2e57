use std::collections::VecDeque;

use bytes::{Buf as _, BytesMut};

use crate::Sent;

/// The bytes that wait to be written and the requests that wait for their answers, oldest first,
/// with their places in the stream.
///
/// Pure: no I/O, no clock. `S` is whatever a request's caller waits on.
pub(super) struct InFlight<S> {
    pub(super) unwritten: BytesMut,
    /// Bytes that were handed to the kernel, since the connection was made.
    written: u64,
    frames: VecDeque<Frame<S>>,
}

struct Frame<S> {
    start: u64,
    end: u64,
    slot: S,
}

impl<S> InFlight<S> {
    pub(super) fn new() -> Self {
        Self {
            unwritten: BytesMut::new(),
            written: 0,
            frames: VecDeque::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Appends the frame that `encode` writes. When it fails nothing is appended, and the slot is
    /// handed back.
    pub(super) fn push<E>(
        &mut self,
        slot: S,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<(), (S, E)> {
        let before = self.unwritten.len();
        let start = self.written + before as u64;
        match encode(&mut self.unwritten) {
            Ok(()) => {
                let end = self.written + self.unwritten.len() as u64;
                self.frames.push_back(Frame { start, end, slot });
                Ok(())
            }
            Err(error) => {
                self.unwritten.truncate(before);
                Err((slot, error))
            }
        }
    }

    /// The first `n` of the unwritten bytes were handed to the kernel.
    pub(super) fn wrote(&mut self, n: usize) {
        self.unwritten.advance(n);
        self.written += n as u64;
    }

    /// An answer came: whose is it? `None` if nobody has asked, that is, if not even the first byte
    /// of the oldest request has left. (An answer to a request that is still being written is fine:
    /// a peer may refuse early.)
    pub(super) fn answered(&mut self) -> Option<S> {
        let frame = self.frames.front()?;
        let begun = frame.start < self.written || frame.end <= self.written;
        match begun {
            true => self.pop().map(|(slot, _)| slot),
            false => None,
        }
    }

    pub(super) fn slots_mut(&mut self) -> impl Iterator<Item = &mut S> {
        self.frames.iter_mut().map(|frame| &mut frame.slot)
    }

    /// Takes the oldest request out, with the evidence whether it was sent: only a frame that was
    /// written to its last byte may have been.
    pub(super) fn pop(&mut self) -> Option<(S, Sent)> {
        let frame = self.frames.pop_front()?;
        let sent = match frame.end <= self.written {
            true => Sent::Maybe,
            false => Sent::No,
        };
        Some((frame.slot, sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bytes: usize) -> impl FnOnce(&mut BytesMut) -> Result<(), &'static str> {
        move |buffer| {
            buffer.extend_from_slice(&vec![7; bytes]);
            Ok(())
        }
    }

    fn refuse(buffer: &mut BytesMut) -> Result<(), &'static str> {
        buffer.extend_from_slice(b"half a frame");
        Err("refused")
    }

    #[test]
    fn only_a_frame_written_to_its_last_byte_may_have_been_sent() {
        for (written, expected) in [
            (0, [Sent::No, Sent::No]),
            (9, [Sent::No, Sent::No]),
            (10, [Sent::Maybe, Sent::No]),
            (14, [Sent::Maybe, Sent::No]),
            (15, [Sent::Maybe, Sent::Maybe]),
        ] {
            let mut pipeline = InFlight::new();
            pipeline.push('a', frame(10)).unwrap();
            pipeline.push('b', frame(5)).unwrap();
            pipeline.wrote(written);
            let first = pipeline.pop().unwrap();
            let second = pipeline.pop().unwrap();
            assert_eq!((first, second), (('a', expected[0]), ('b', expected[1])));
            assert!(pipeline.pop().is_none());
        }
    }

    #[test]
    fn places_in_the_stream_count_from_its_beginning() {
        let mut pipeline = InFlight::new();
        pipeline.push('a', frame(10)).unwrap();
        pipeline.wrote(10);
        pipeline.push('b', frame(10)).unwrap();
        pipeline.wrote(9);
        assert_eq!(pipeline.pop(), Some(('a', Sent::Maybe)));
        assert_eq!(pipeline.pop(), Some(('b', Sent::No)));
    }

    #[test]
    fn a_refused_frame_leaves_no_bytes_behind() {
        let mut pipeline = InFlight::new();
        pipeline.push('a', frame(3)).unwrap();
        assert_eq!(pipeline.push('b', refuse), Err(('b', "refused")));
        pipeline.push('c', frame(2)).unwrap();
        assert_eq!(&pipeline.unwritten[..], [7; 5]);
        pipeline.wrote(5);
        assert_eq!(pipeline.answered(), Some('a'));
        assert_eq!(pipeline.answered(), Some('c'));
    }

    #[test]
    fn an_answer_before_the_first_byte_is_nobodys() {
        let mut pipeline = InFlight::new();
        assert_eq!(pipeline.answered(), None);
        pipeline.push('a', frame(3)).unwrap();
        assert_eq!(pipeline.answered(), None);
        pipeline.wrote(1);
        assert_eq!(pipeline.answered(), Some('a'));
    }

    #[test]
    fn an_empty_frame_counts_as_written() {
        let mut pipeline = InFlight::new();
        pipeline.push('a', frame(0)).unwrap();
        assert_eq!(pipeline.answered(), Some('a'));
    }
}
