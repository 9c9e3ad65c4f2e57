//! Answers that say "try again later".

mod error;
mod layer;
mod response;
mod retry_after;

pub use error::Unavailable;
pub use layer::{UnavailableFuture, UnavailableLayer, UnavailableService};
pub use response::HasStatus;
