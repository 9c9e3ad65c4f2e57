use std::error::Error;
use std::time::Duration;

use super::{Destination, Replayable, Spelling};
use crate::Ticket;

/// How the layer handles its requests: [`ByTrait`], [`ByClone`], or for HTTP `ByReturn`. Sealed.
///
/// The methods are those of [`Replayable`], as functions of the request.
pub trait RequestModel<Req>: sealed::Sealed {
    #[doc(hidden)]
    fn try_clone(request: &Req) -> Option<Req>;
    #[doc(hidden)]
    fn can_replay(request: &Req) -> bool;
    #[doc(hidden)]
    fn is_idempotent(request: &Req) -> bool;
    #[doc(hidden)]
    fn destination(request: &Req) -> Destination;
    #[doc(hidden)]
    fn destination_hash(request: &Req) -> u64;
    #[doc(hidden)]
    #[inline]
    fn spelling(_: &Req) -> Option<Spelling<'_>> {
        None
    }
    #[doc(hidden)]
    fn size_hint(request: &Req) -> usize;
    #[doc(hidden)]
    fn may_redirect(request: &Req) -> bool;
    #[doc(hidden)]
    fn max_age(request: &Req) -> Option<Duration>;
    #[doc(hidden)]
    fn set_ticket(request: &mut Req, ticket: Ticket);
    #[doc(hidden)]
    fn take_back(error: &(dyn Error + 'static)) -> Option<Req>;
}

/// Requests are handled by their [`Replayable`] implementation. The default.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByTrait;

/// Requests are cloned, all count as idempotent, and all go to one peer
/// ([`clone_requests`](crate::RetryOnConnErr::clone_requests)).
#[derive(Debug, Clone, Copy, Default)]
pub struct ByClone;

/// HTTP requests that are never copied: they are replayed only if an error [hands them
/// back](crate::Unsent) ([`never_copy`](crate::RetryOnConnErr::never_copy)).
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
#[derive(Debug, Clone, Copy, Default)]
pub struct ByReturn;

impl<Req: Replayable> RequestModel<Req> for ByTrait {
    fn try_clone(request: &Req) -> Option<Req> {
        request.try_clone()
    }

    fn can_replay(request: &Req) -> bool {
        request.can_replay()
    }

    fn is_idempotent(request: &Req) -> bool {
        request.is_idempotent()
    }

    fn destination(request: &Req) -> Destination {
        request.destination()
    }

    fn destination_hash(request: &Req) -> u64 {
        request.destination_hash()
    }

    #[inline]
    fn spelling(request: &Req) -> Option<Spelling<'_>> {
        request.spelling()
    }

    fn size_hint(request: &Req) -> usize {
        request.size_hint()
    }

    fn may_redirect(request: &Req) -> bool {
        request.may_redirect()
    }

    fn max_age(request: &Req) -> Option<Duration> {
        request.max_age()
    }

    fn set_ticket(request: &mut Req, ticket: Ticket) {
        request.set_ticket(ticket);
    }

    fn take_back(error: &(dyn Error + 'static)) -> Option<Req> {
        Req::take_back(error)
    }
}

impl<Req: Clone> RequestModel<Req> for ByClone {
    fn try_clone(request: &Req) -> Option<Req> {
        Some(request.clone())
    }

    fn can_replay(_: &Req) -> bool {
        true
    }

    fn is_idempotent(_: &Req) -> bool {
        true
    }

    fn destination(_: &Req) -> Destination {
        Destination::default()
    }

    fn destination_hash(_: &Req) -> u64 {
        Destination::PEER_HASH
    }

    fn size_hint(_: &Req) -> usize {
        size_of::<Req>()
    }

    fn may_redirect(_: &Req) -> bool {
        false
    }

    fn max_age(_: &Req) -> Option<Duration> {
        None
    }

    fn set_ticket(_: &mut Req, _: Ticket) {}

    fn take_back(_: &(dyn Error + 'static)) -> Option<Req> {
        None
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ByTrait {}
    impl Sealed for super::ByClone {}
    #[cfg(feature = "http")]
    impl Sealed for super::ByReturn {}
}
