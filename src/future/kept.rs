use crate::{Destination, RequestModel};

/// What is kept of a request while an attempt has it.
pub(crate) enum Kept<Req> {
    /// A copy of it, or the request itself as long as no attempt was made.
    Request(Req),
    /// It can't be copied: what it said before it was gone. Boxed, so that the future of all others
    /// is small.
    Gone(Box<Gone>),
}

pub(crate) struct Gone {
    destination: Destination,
    hash: u64,
    may_redirect: bool,
}

impl<Req> Kept<Req> {
    /// What is kept of a request that is about to go.
    pub(crate) fn copy<R: RequestModel<Req>>(request: &Req) -> Self {
        match R::try_clone(request) {
            Some(copy) => Self::Request(copy),
            None => Self::gone::<R>(request),
        }
    }

    #[cold]
    pub(super) fn gone<R: RequestModel<Req>>(request: &Req) -> Self {
        Self::Gone(Box::new(Gone {
            destination: R::destination(request),
            hash: R::destination_hash(request),
            may_redirect: R::may_redirect(request),
        }))
    }

    pub(super) fn request(&self) -> Option<&Req> {
        match self {
            Self::Request(request) => Some(request),
            Self::Gone(_) => None,
        }
    }

    pub(super) fn destination<R: RequestModel<Req>>(&self) -> Destination {
        match self {
            Self::Request(request) => R::destination(request),
            Self::Gone(gone) => gone.destination.clone(),
        }
    }

    pub(super) fn hash<R: RequestModel<Req>>(&self) -> u64 {
        match self {
            Self::Request(request) => R::destination_hash(request),
            Self::Gone(gone) => gone.hash,
        }
    }

    pub(super) fn may_redirect<R: RequestModel<Req>>(&self) -> bool {
        match self {
            Self::Request(request) => R::may_redirect(request),
            Self::Gone(gone) => gone.may_redirect,
        }
    }
}
