//! How the requests of a connector get their answers.

use std::any::type_name;
use std::fmt;

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

/// Answers come in the order of the requests: what a [`Connector`](super::Connector) expects unless
/// it is told otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct InOrder;

/// Answers come in any order and carry an id: see
/// [`Connector::correlate`](super::Connector::correlate).
#[derive(Clone, Copy)]
pub struct ById<G>(pub(super) G);

/// There are no answers: see [`Connector::one_way`](super::Connector::one_way).
#[derive(Debug, Clone, Copy, Default)]
pub struct OneWay;

impl<G> fmt::Debug for ById<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ById").field(&type_name::<G>()).finish()
    }
}

/// A codec for a peer that never says anything: whatever comes is one answer, which nobody asked
/// for.
pub(super) struct EncodeOnly<C>(pub(super) C);

impl<C: Encoder<Req>, Req> Encoder<Req> for EncodeOnly<C> {
    type Error = C::Error;

    fn encode(&mut self, request: Req, buffer: &mut BytesMut) -> Result<(), C::Error> {
        self.0.encode(request, buffer)
    }
}

impl<C> Decoder for EncodeOnly<C> {
    type Item = ();
    type Error = std::io::Error;

    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<()>, std::io::Error> {
        let something = !buffer.is_empty();
        buffer.clear();
        Ok(something.then_some(()))
    }
}
