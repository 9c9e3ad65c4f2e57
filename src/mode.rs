use std::task::{Context, Poll};

use crate::outbox::Undelivered;
use crate::{Destination, Error, RequestModel};

/// Who waits while a link is down: the callers ([`Inline`]), or an [`Outbox`](crate::Outbox). Sealed.
pub trait Mode<Req>: sealed::Sealed {
    /// A request does not wait for its link: it is deferred.
    #[doc(hidden)]
    const DEFERS: bool = false;
    /// The request is an outbox's own: neither the time nor the limits of callers are for it.
    #[doc(hidden)]
    const OWNED: bool = false;
    /// What the future of a call has.
    #[doc(hidden)]
    type State: Unpin;

    /// A new call, with an attempt of this request.
    #[doc(hidden)]
    fn begin<R: RequestModel<Req>>(&self, id: u64, attempt: Option<&Req>) -> Self::State;

    /// The attempt of a new call has failed before it called the service.
    #[doc(hidden)]
    fn unsent(_: &mut Self::State) {}

    /// Another attempt of the call begins, of this number.
    #[doc(hidden)]
    #[inline]
    fn replays(_: &mut Self::State, _attempt: u32) {}

    /// No call is taken any more.
    #[doc(hidden)]
    #[inline]
    fn is_closed(&self) -> bool {
        false
    }

    /// Something comes before a new call.
    #[doc(hidden)]
    fn has_some_for(&self, _: &Destination) -> bool {
        false
    }

    /// The call ends with an answer.
    #[doc(hidden)]
    #[inline]
    fn answered(_: &mut Self::State) {}

    /// The request can't be answered now.
    #[doc(hidden)]
    fn defer(_: &mut Self::State, _: Undelivered<Req>) {}

    /// Goes on with a request that was deferred, if it was. `over`: the caller's time is.
    #[doc(hidden)]
    fn poll_deferred(
        _: &mut Self::State,
        _over: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>,
        _: &mut Context<'_>,
    ) -> Option<Poll<Error>> {
        None
    }
}

/// The caller's future waits for the link, and owns the request. The default mode.
#[derive(Debug, Clone, Copy, Default)]
pub struct Inline;

impl<Req> Mode<Req> for Inline {
    type State = ();

    #[inline]
    fn begin<R: RequestModel<Req>>(&self, _: u64, _: Option<&Req>) {}
}

/// What an outbox delivers.
pub(crate) struct Delivery;

impl<Req> Mode<Req> for Delivery {
    const OWNED: bool = true;
    type State = ();

    fn begin<R: RequestModel<Req>>(&self, _: u64, _: Option<&Req>) {}
}

pub(crate) mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Inline {}
    impl Sealed for super::Delivery {}
}
