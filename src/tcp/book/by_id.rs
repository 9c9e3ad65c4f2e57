use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::task::{Context, Poll};

use super::{Book, Done, Frame, poll_all_abandoned, unexpected};
use crate::Sent;
use crate::tcp::correlate::Correlate;
use crate::tcp::error::{Error, ErrorKind};
use crate::tcp::outgoing::Span;
use crate::tcp::slot::Slot;

/// Answers come in any order, and say by an id whose they are.
pub(in crate::tcp) struct ById<K, Id, Res> {
    correlate: K,
    frames: HashMap<Id, Frame<Res>>,
}

impl<K, Id, Res> ById<K, Id, Res> {
    pub(in crate::tcp) fn new(correlate: K) -> Self {
        Self {
            correlate,
            frames: HashMap::new(),
        }
    }
}

impl<Req, K, Res> Book<Req> for ById<K, K::Id, Res>
where
    K: Correlate<Req, Res>,
{
    type Res = Res;
    type Key = K::Id;

    fn key(&mut self, request: &mut Req) -> Result<K::Id, Error> {
        let id = self.correlate.request(request);
        match self.frames.contains_key(&id) {
            true => Err(Error::unsent(ErrorKind::DuplicateId, None)),
            false => Ok(id),
        }
    }

    fn insert(&mut self, id: K::Id, span: Span, slot: Slot<Res>) {
        self.frames.insert(id, Frame { span, slot });
    }

    fn answered(&mut self, answer: Res, written: u64) -> Result<Option<Done<Res>>, Error> {
        let Some(id) = self.correlate.response(&answer) else {
            let pushed = self.correlate.push(answer);
            return pushed
                .map(|()| None)
                .map_err(|error| Error::unsent(ErrorKind::UnexpectedAnswer, Some(error)));
        };
        match self.frames.entry(id) {
            Entry::Occupied(found) if found.get().span.is_begun(written) => {
                Ok(Some((found.remove().slot, answer)))
            }
            _ => Err(unexpected()),
        }
    }

    fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn poll_abandoned(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        poll_all_abandoned(self.frames.values_mut(), cx)
    }

    fn drain(&mut self, written: u64) -> Vec<(Slot<Res>, Sent)> {
        let mut frames: Vec<_> = self.frames.drain().map(|(_, frame)| frame).collect();
        frames.sort_by_key(|frame| frame.span.end);
        frames
            .into_iter()
            .map(|frame| frame.into_evidence(written))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::tcp::outgoing::Outgoing;
    use crate::tcp::slot::slot;

    struct Same;

    impl Correlate<u8, u8> for Same {
        type Id = u8;

        fn request(&mut self, request: &mut u8) -> u8 {
            *request
        }

        fn response(&mut self, response: &u8) -> Option<u8> {
            Some(*response)
        }
    }

    #[test]
    fn an_answer_before_the_first_byte_of_its_request_is_nobodys() {
        let mut book: ById<Same, u8, u8> = ById::new(Same);
        let mut outgoing = Outgoing::default();
        for mut id in [1, 2] {
            let frame = outgoing.append(|buffer: &mut BytesMut| {
                buffer.extend_from_slice(&[0; 3]);
                Ok::<_, ()>(())
            });
            let key = book.key(&mut id).unwrap();
            Book::<u8>::insert(&mut book, key, frame.unwrap(), slot().0);
        }
        for (written, id, expected) in [(3, 2, false), (4, 2, true), (4, 1, true), (4, 1, false)] {
            let found = Book::<u8>::answered(&mut book, id, written);
            assert_eq!(found.is_ok(), expected, "{id} after {written} bytes");
        }
    }
}
