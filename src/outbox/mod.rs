//! Messages that outlive their callers.

mod codec;
mod memory;
mod store;
mod ticket;

pub use codec::{Codec, Raw};
pub use memory::MemoryStore;
pub use store::{Changes, Contents, Message, Store};
pub use ticket::Ticket;
