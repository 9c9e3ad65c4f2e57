//! What HTTP needs around the layer.

mod idempotency_key;
mod replay_body;
mod unavailable;

pub(crate) use idempotency_key::IDEMPOTENCY_KEY;
pub use idempotency_key::{IdempotencyKeyLayer, IdempotencyKeyService, KeyedRequest};
pub(crate) use replay_body::Recording;
pub use replay_body::{ReplayBody, ReplayBodyError, ReplayBodyLayer, ReplayBodyService};
pub use unavailable::{
    HasStatus, Unavailable, UnavailableFuture, UnavailableLayer, UnavailableService,
};
