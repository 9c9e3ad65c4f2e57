//! A request body that is kept as it goes out, so that it can go out another time.

mod body;
mod error;
mod layer;
mod state;
mod tape;

pub(crate) use body::Recording;
pub use body::ReplayBody;
pub use error::ReplayBodyError;
pub use layer::{ReplayBodyLayer, ReplayBodyService};
