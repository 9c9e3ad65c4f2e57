//! Messages that outlive their callers.

mod book;
mod builder;
mod codec;
mod deferral;
mod error;
mod flight;
mod handle;
mod keeper;
mod memory;
mod receipt;
mod shared;
mod slot;
mod store;
mod ticket;
mod worker;

pub use builder::OutboxBuilder;
pub use codec::{Codec, Raw};
#[doc(hidden)]
pub use deferral::{Deferral, Undelivered};
pub use error::OutboxError;
pub use handle::Outbox;
pub use memory::MemoryStore;
pub use receipt::{DeadLetter, Outcome, Receipt};
pub use store::{Changes, Contents, Message, Store};
pub use ticket::Ticket;
