//! Messages that outlive their callers, and their process.
//!
//! A request that waits in a call's future goes with it: when the caller times out, is cancelled or
//! crashes, the message is lost. An [`Outbox`] is a backlog that the layer owns. A call makes its
//! first attempt as ever; what can't be answered now is stored, the caller is told so at once, and the
//! outbox delivers it when the link is back.
//!
//! ```
//! # use tower::{Layer, Service, ServiceExt, service_fn};
//! # use tower_conn_retry::{BoxError, Outbox, RetryOnConnErr};
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() -> Result<(), BoxError> {
//! # let up = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
//! # let is_up = up.clone();
//! # let client = service_fn(move |message: String| {
//! #     let up = is_up.load(std::sync::atomic::Ordering::Relaxed);
//! #     let refused = || std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
//! #     async move { if up { Ok(message) } else { Err(refused()) } }
//! # });
//! # let message = String::from("dock at station 3");
//! let outbox = Outbox::in_memory(); // or Outbox::open("messages.outbox", Raw)?
//! let mut client = RetryOnConnErr::new().outbox(outbox.clone()).layer(client);
//! let error = client.ready().await?.call(message).await.unwrap_err();
//! assert!(error.is_deferred()); // its number: error.ticket()
//! # up.store(true, std::sync::atomic::Ordering::Relaxed);
//! outbox.flush().await; // the server is back, and has it
//! # Ok(())
//! # }
//! ```
//!
//! # What a call's end means
//!
//! | the call ends with | the message | may have been sent |
//! |---|---|---|
//! | `Ok` | was answered | yes |
//! | an error that [`is_deferred`](crate::Error::is_deferred) | is the outbox's, and will be sent; on disk it is durable | as [`sent`](crate::Error::sent) says |
//! | any other error | was never accepted: nobody keeps it | as [`sent`](crate::Error::sent) says |
//! | its future is dropped | is gone, unless it was just being stored; with [`survive_cancel`](OutboxBuilder::survive_cancel) it is the outbox's | maybe |
//!
//! So "deferred" does not mean that the link is down at this moment: a call is deferred behind others that are not
//! answered yet, [too](#order).
//!
//! A message leaves the outbox when the service has answered, never when it was written. With HTTP every answer
//! is one, a 500 and a 401 included: where that is no delivery, make an error of it below the layer, and the message
//! becomes a dead letter (or, of a 503 with an `UnavailableLayer`, is sent again):
//!
//! ```
//! # #[cfg(feature = "reqwest")] {
//! use tower::ServiceBuilder;
//! use tower_conn_retry::{Outbox, RetryOnConnErr};
//!
//! # fn wrap(outbox: Outbox<reqwest::Request>) {
//! let client = ServiceBuilder::new()
//!     .layer(RetryOnConnErr::new().outbox(outbox))
//!     .and_then(|answer: reqwest::Response| async { answer.error_for_status() })
//!     .service(reqwest::Client::new());
//! # }
//! # }
//! ```
//!
//! Each that leaves has a [`Receipt`]; one that will not be delivered becomes a
//! [dead letter](Outbox::dead_letters), with its request. Dead letters that nobody takes stay in memory, within limits as large as the outbox's: of more the
//! oldest are lost, and [counted](Outbox::lost_letters). [`next_dead_letter`](Outbox::next_dead_letter) gives
//! each as it comes.
//!
//! One that can't be read, because a version of the program left it that wrote its messages in another way,
//! say, is passed over and stays where it is, for a version that can, or until
//! [`discard_unreadable`](Outbox::discard_unreadable).
//!
//! # At least once
//!
//! An answer can get lost with its connection, and a process can be killed between the answer and the
//! removal (up to 100 messages or so of a destination are sent again then; none after a
//! [`flush`](Outbox::flush)). So a message arrives at least once, and the receiver has to know what it has seen.
//! For HTTP put an `IdempotencyKeyLayer` (feature `http`) *above* this layer: the key is stored with the request,
//! and is the same in each attempt, also after a restart. (Below, the outbox would store the request without one.)
//! Elsewhere write a number into the message, of your own, or its [`Ticket`]:
//! [`Replayable::set_ticket`](crate::Replayable::set_ticket).
//! A request that is not [idempotent](crate::Replayable::is_idempotent) is deferred only if it was
//! provably not sent; if that changes while it is delivered, it becomes a dead letter. With a reqwest that may follow
//! redirects a refused connection is no proof: a POST without a key that is deferred while the link is down becomes
//! one with the first probe that fails. Have a key, or
//! [`redirects_off`](crate::RetryOnConnErr::redirects_off). But if the process is
//! killed while such a delivery is in flight, nobody knows of it, and it is made again after the restart: so
//! is one that [`close`](Outbox::close) interrupts. What must not be done twice needs a key, or no outbox.
//!
//! A [permanent](crate::Outlook::Permanent) error of a destination that has never worked makes a dead
//! letter, too, but of what a former process left: that waits on. Dead letters are in memory only.
//! Where a captive portal or a wrong clock may be what a message meets first,
//! [`persist_through_permanent`](crate::RetryOnConnErr::persist_through_permanent) keeps them all.
//!
//! A message that breaks its connection again and again, while the next one is answered, becomes a dead letter
//! as well ([`Poisoned`](crate::Reason::Poisoned)). Where a peer breaks many connections by chance, that may be
//! chance, too: with 45 of 100 closed unread it was one message of 500, with 25 of 100 none of 1,500. Put such a
//! dead letter into the outbox once more.
//!
//! # Credentials
//!
//! A message may wait for hours, longer than a token or a signature lives.
//! [`ConnErrorPolicy::prepare`](crate::ConnErrorPolicy::prepare) can change it before it is sent again.
//!
//! ```
//! use tower_conn_retry::{ConnErrorPolicy, Outbox, RetryOnConnErr};
//!
//! struct Request {
//!     token: String,
//!     text: String,
//! }
//!
//! struct Sign;
//!
//! impl ConnErrorPolicy<Request> for Sign {
//!     fn prepare(&self, request: &mut Request, _attempt: u32) {
//!         request.token = current_token();
//!     }
//! }
//! # fn current_token() -> String { String::new() }
//! ```
//!
//! It runs before replays, not before a first attempt: of a message that was deferred while the link was
//! down, the outbox's first attempt is the first of all. Where that matters, sign in a service *below* the
//! layer, which sees every attempt.
//!
//! # Order
//!
//! Messages to one [destination](crate::Destination) go in the order of their calls, over restarts too: what a former
//! process left goes first. A call that finds messages for its destination has no attempt of its own, but
//! is deferred behind them, also when the link is up again: only so nothing that breaks on its way is overtaken. So a
//! caller who sends faster than the peer answers is not answered directly any more after an outage, and one who goes
//! on at once whenever a call is deferred can fill the outbox faster than it is emptied. A pause of the callers ends
//! that; limits and [`WhenFull::Wait`](crate::WhenFull::Wait) slow them down.
//!
//! In-line callers and the outbox share the links: one probe, one backlog. Set
//! [`in_order`](crate::RetryOnConnErr::in_order) if requests are pipelined on one connection. Destinations don't
//! block each other.
//!
//! A call whose own attempt is in flight holds up nobody. If its connection breaks, it is deferred at the
//! place of its call, and goes before all later ones that have not been sent by then. Those that have been
//! went before it: where it hears of the break later than the first probe after it, which with `in_order`
//! is 20 ms at least. What was deferred without an attempt has its first one in its turn. With `in_order` the
//! outbox waits before a probe until all its own attempts have heard that they failed, a second at most.
//!
//! All this is about the order of calls. Up to 32 are in flight at once; a client that has more than one
//! connection, or makes one for each request, may let one overtake another. Where arrival counts, put a
//! `.concurrency_limit(1)` below the layer.
//!
//! # Bounds
//!
//! An outbox has [limits](OutboxBuilder::limits) of its own, in number and bytes, and says what happens
//! [when it is full](OutboxBuilder::when_full). With [`WhenFull::Wait`](crate::WhenFull::Wait) the
//! calls get room in their order: a large message waits until it fits, and those behind it wait with it; one that
//! is larger than all that the outbox may own is refused at once.
//!
//! With [`WhenFull::DropOldest`](crate::WhenFull::DropOldest) the oldest that wait make room, never one whose
//! attempt is in flight, nor one that can't be read. A call whose own message would have to go (all others
//! are on their way, say) fails with [`Reason::QueueFull`](crate::Reason::QueueFull), and nothing is dropped
//! for it. A message is counted as soon as it comes, and makes others go when it is stored: until then it is
//! beyond the limits. What is being stored on disk is itself within them, so that [`len`](Outbox::len) and
//! [`bytes`](Outbox::bytes) are never more than twice the limits (plus what a former process left beyond
//! them, until the first message is stored, and what can't be read). Calls beyond that wait until the disk
//! has kept up; what comes from callers who are gone ([`survive_cancel`](OutboxBuilder::survive_cancel)) is
//! dropped.
//!
//! [`give_up_after`](crate::RetryOnConnErr::give_up_after) is for calls: what the outbox owns it keeps until
//! [`max_age`](OutboxBuilder::max_age), which has no end by default, or the message's
//! [own limit](crate::Replayable::max_age). Ages are measured while the outbox is open and the machine awake;
//! no date is read. Up to 32 messages of a destination are under way at once; what
//! [`Links`](crate::Links) tells of those that wait is about these, and [`len`](Outbox::len) about all.
//!
//! # The end
//!
//! [`flush`](Outbox::flush) waits until the outbox is empty and what was delivered is out of the file,
//! durably; [`close`](Outbox::close) waits for so long at most, and hands out what is left. A process that is
//! killed then delivers nothing of it a second time. A file that was closed can be opened again at once.
//!
//! An outbox goes on while there is something to deliver, whoever still has a handle or the service: only `close`
//! stops it, or the end of its runtime. If that ends first, the next call, or `flush`, has the outbox go on in
//! the runtime that it is made in; without one, what was in memory ends with the process, and what is on disk is
//! delivered after a restart.
//!
//! # On disk
//!
//! `Outbox::open(path, codec)` (feature `outbox-disk`) keeps the messages in one file. The caller hears
//! *deferred* when the message is synced to the disk; callers that come together share one sync, and the next
//! one waits for them to call again: a quarter of the time that the last one took, 5 ms at most. A process that is killed
//! loses nothing that was deferred. One outbox at a time has the file: a second one, in this process or in
//! another, is refused with [`OutboxErrorKind::Locked`]. A damaged one is refused, too, with
//! [`OutboxErrorKind::Corrupt`]; `disk::salvage` makes a new file of what is intact. If the disk is full, calls fail with
//! [`Reason::NotStored`](crate::Reason::NotStored) and say so,
//! [`Observer::store_failed`](crate::Observer::store_failed) is told, and the outbox goes on as soon as there is room. The
//! [`Codec`] turns requests into bytes: [`Raw`] for bytes and text, others for HTTP requests and serde's types, or
//! your own.
//!
//! # A store of your own
//!
//! Implement [`Store`] to keep messages in a database or a broker: three methods, and others that have
//! defaults, called one at a time on a thread of their own, so that they may block. `test_store` and
//! `test_store_killed` (feature `test-util`) test it.
//!
//! # The runtime
//!
//! [`layer`](tower_layer::Layer::layer) panics outside of a tokio runtime, since deliveries are tasks of it. An outbox
//! belongs to one layered service (and its clones); a second `layer` with it panics. Before there is one,
//! messages in the file are kept, and counted.

mod book;
mod builder;
mod by_destination;
mod codec;
mod dead;
mod deferral;
#[cfg(feature = "outbox-disk")]
#[cfg_attr(docsrs, doc(cfg(feature = "outbox-disk")))]
pub mod disk;
mod error;
mod failures;
mod flight;
mod handle;
mod keeper;
#[cfg(feature = "http")]
mod max_age;
mod meanwhile;
mod memory;
mod oldest;
mod order;
mod put;
mod receipt;
mod reserved;
mod run;
mod shared;
mod slot;
mod store;
#[cfg(feature = "test-util")]
mod test_store;
#[cfg(all(test, not(shuttle)))]
mod tests;
mod ticket;
mod tickets;
mod trim;
mod unreadable;
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
#[cfg(feature = "http")]
#[cfg_attr(docsrs, doc(cfg(feature = "http")))]
pub use max_age::MaxAge;
pub use memory::MemoryStore;
pub use receipt::{DeadLetter, Outcome, Receipt};
pub use store::{Changes, Contents, Message, Store};
#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub use test_store::{Durability, test_store, test_store_killed};
pub use ticket::Ticket;
