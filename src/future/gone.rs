use crate::{Destination, RequestModel};

/// What a request said that can't be copied and is gone.
pub(crate) struct Gone {
    pub(super) destination: Destination,
    pub(super) hash: u64,
    pub(super) may_redirect: bool,
}

impl Gone {
    pub(super) fn new<Req, R: RequestModel<Req>>(request: &Req) -> Self {
        Self {
            destination: R::destination(request),
            hash: R::destination_hash(request),
            may_redirect: R::may_redirect(request),
        }
    }
}
