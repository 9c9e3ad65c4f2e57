//! Messages that outlive their callers.

mod codec;
#[cfg(feature = "outbox-disk")]
#[cfg_attr(docsrs, doc(cfg(feature = "outbox-disk")))]
pub mod disk;
mod error;
mod memory;
mod store;
#[cfg(feature = "test-util")]
mod test_store;
mod ticket;

#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use codec::HttpCodec;
#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub use codec::Json;
pub use codec::{Codec, Raw};
#[cfg(feature = "outbox-disk")]
#[cfg_attr(docsrs, doc(cfg(feature = "outbox-disk")))]
pub use disk::DiskStore;
pub use error::{OutboxError, OutboxErrorKind};
pub use memory::MemoryStore;
pub use store::{Changes, Contents, Message, Store};
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub use test_store::{Durability, test_store};
pub use ticket::Ticket;
