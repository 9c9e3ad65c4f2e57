//! Messages that outlive their callers.

mod book;
mod builder;
mod codec;
mod deferral;
#[cfg(feature = "outbox-disk")]
#[cfg_attr(docsrs, doc(cfg(feature = "outbox-disk")))]
pub mod disk;
mod error;
mod flight;
mod handle;
mod keeper;
mod meanwhile;
mod memory;
mod receipt;
mod shared;
mod slot;
mod store;
#[cfg(feature = "test-util")]
mod test_store;
mod ticket;
mod unwind;
mod worker;

pub use builder::OutboxBuilder;
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use codec::HttpCodec;
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub use codec::Json;
pub use codec::{Codec, Raw};
#[doc(hidden)]
pub use deferral::{Deferral, Undelivered};
#[cfg(feature = "outbox-disk")]
#[cfg_attr(docsrs, doc(cfg(feature = "outbox-disk")))]
pub use disk::DiskStore;
pub use error::{OutboxError, OutboxErrorKind};
pub use handle::Outbox;
pub use memory::MemoryStore;
pub use receipt::{DeadLetter, Outcome, Receipt};
pub use store::{Changes, Contents, Message, Store};
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub use test_store::{Durability, test_store};
pub use ticket::Ticket;
