//! Links: what is shared by the calls to one destination, and the table of all links of a layer.

mod alert;
mod boxes;
mod entries;
mod hold;
mod known;
mod limits;
mod links;
mod place;
mod state;
mod table;
#[cfg(feature = "wake")]
mod wake;
mod watchdog;

pub(crate) use entries::LastError;
pub(crate) use hold::Hold;
pub use limits::{Limits, WhenFull};
pub use links::{LinkStatus, Links, LinksSummary};
pub(crate) use place::{Place, Room};
pub(crate) use state::{After, Answer, Failed};
pub(crate) use table::Table;
#[cfg(feature = "wake")]
pub use wake::NetworkWatch;
