use bytes::{Buf as _, BytesMut};

use crate::Sent;

/// A buffer that had to hold more than this is not kept when it is empty.
const KEPT: usize = 512 * 1024;

/// The bytes that wait to be written, and how many were written before them.
///
/// Pure: no I/O, no clock.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) unwritten: BytesMut,
    /// Bytes that were handed to the kernel (or to TLS), since the connection was made.
    written: u64,
    /// The most that waited since the buffer was made.
    most: usize,
}

/// Where a frame is in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: u64,
    pub(super) end: u64,
}

impl Outgoing {
    /// Appends the frame that `encode` writes. When it fails nothing is appended.
    pub(super) fn append<E>(
        &mut self,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), E>,
    ) -> Result<Span, E> {
        let before = self.unwritten.len();
        let start = self.written + before as u64;
        if let Err(error) = encode(&mut self.unwritten) {
            self.unwritten.truncate(before);
            return Err(error);
        }
        self.most = self.most.max(self.unwritten.len());
        let end = self.written + self.unwritten.len() as u64;
        Ok(Span { start, end })
    }

    /// The first `n` of the unwritten bytes were handed to the kernel.
    pub(super) fn wrote(&mut self, n: usize) {
        self.unwritten.advance(n);
        self.written += n as u64;
        if self.most > KEPT && self.unwritten.is_empty() {
            self.unwritten = BytesMut::new();
            self.most = 0;
        }
    }

    pub(super) fn written(&self) -> u64 {
        self.written
    }
}

impl Span {
    /// Whether the peer can know of it: its first byte has left. (A peer may refuse early, while the
    /// rest is still being written.)
    pub(super) fn is_begun(self, written: u64) -> bool {
        self.start < written || self.end <= written
    }

    /// Only a frame that was written to its last byte may have been sent.
    pub(super) fn sent(self, written: u64) -> Sent {
        match self.end <= written {
            true => Sent::Maybe,
            false => Sent::No,
        }
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
            let mut outgoing = Outgoing::default();
            let a = outgoing.append(frame(10)).unwrap();
            let b = outgoing.append(frame(5)).unwrap();
            outgoing.wrote(written);
            let written = outgoing.written();
            assert_eq!([a.sent(written), b.sent(written)], expected);
        }
    }

    #[test]
    fn places_in_the_stream_count_from_its_beginning() {
        let mut outgoing = Outgoing::default();
        let a = outgoing.append(frame(10)).unwrap();
        outgoing.wrote(10);
        let b = outgoing.append(frame(10)).unwrap();
        outgoing.wrote(9);
        let written = outgoing.written();
        assert_eq!((a.sent(written), b.sent(written)), (Sent::Maybe, Sent::No));
    }

    #[test]
    fn a_refused_frame_leaves_no_bytes_behind() {
        let mut outgoing = Outgoing::default();
        outgoing.append(frame(3)).unwrap();
        assert_eq!(outgoing.append(refuse), Err("refused"));
        let next = outgoing.append(frame(2)).unwrap();
        assert_eq!(next, Span { start: 3, end: 5 });
        assert_eq!(&outgoing.unwritten[..], [7; 5]);
    }

    #[test]
    fn a_large_frame_leaves_no_large_buffer_behind() {
        let mut outgoing = Outgoing::default();
        for (large, kept) in [(KEPT, true), (KEPT + 1, false), (9 << 20, false)] {
            outgoing.append(frame(large)).unwrap();
            outgoing.wrote(large - 1);
            outgoing.wrote(1);
            outgoing.append(frame(1)).unwrap();
            outgoing.wrote(1);
            // What was written is room again.
            assert_eq!(outgoing.unwritten.try_reclaim(KEPT), kept, "{large}");
        }
    }

    #[test]
    fn a_frame_is_begun_with_its_first_byte_and_an_empty_one_at_once() {
        let mut outgoing = Outgoing::default();
        let a = outgoing.append(frame(3)).unwrap();
        assert!(!a.is_begun(outgoing.written()));
        outgoing.wrote(1);
        assert!(a.is_begun(outgoing.written()));
        outgoing.wrote(2);
        let empty = outgoing.append(frame(0)).unwrap();
        assert!(empty.is_begun(outgoing.written()));
    }
}
