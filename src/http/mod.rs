//! What HTTP needs around the layer.

mod replay_body;

pub(crate) use replay_body::Recording;
pub use replay_body::{ReplayBody, ReplayBodyError, ReplayBodyLayer, ReplayBodyService};
