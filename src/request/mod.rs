//! What the layer has to know about a request.

mod destination;
#[cfg(feature = "http")]
mod http;
mod model;
#[cfg(feature = "http")]
mod origin;
mod plain;
#[cfg(any(feature = "reqwest", feature = "reqwest-0-12"))]
mod reqwest;
mod spelling;
mod unsent;

pub use destination::Destination;
#[cfg(feature = "http")]
pub use model::ByReturn;
pub use model::{ByClone, ByTrait, RequestModel};
pub use spelling::Spelling;
#[cfg(feature = "tcp")]
pub(crate) use unsent::Slot;
pub use unsent::{ConnectError, NotSent, Unsent};

use std::error::Error;
use std::time::Duration;

use crate::Ticket;

/// A request that can be made another time.
///
/// Implemented for plain messages (`Bytes`, `Vec<u8>`, `String`, numbers, shared pointers), and with
/// features for `http::Request<B: Clone>`, `http::Uri` and `reqwest::Request`. For a type of your
/// own, implement it: one method is enough. Or use
/// [`.clone_requests()`](crate::RetryOnConnErr::clone_requests), which needs `Clone` only and takes
/// each request for idempotent.
///
/// ```
/// use tower_conn_retry::{Destination, Replayable};
///
/// #[derive(Clone)]
/// struct Order { shop: String, lines: Vec<u8>, number: u64 }
///
/// impl Replayable for Order {
///     fn try_clone(&self) -> Option<Self> {
///         Some(self.clone())
///     }
///
///     fn destination(&self) -> Destination {
///         Destination::new(self.shop.as_str()) // the shops fail one by one
///     }
///
///     fn size_hint(&self) -> usize {
///         size_of::<Self>() + self.shop.capacity() + self.lines.capacity()
///     }
/// }
/// ```
///
/// None of the methods runs under a lock, but [`try_clone`](Self::try_clone) under that of an outbox in
/// memory. They MAY be called while an attempt is in flight.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be replayed: it does not implement `Replayable`",
    label = "not `Replayable`",
    note = "`http::Request` needs the feature `http` and a body that is `Clone` (`ReplayBodyLayer` makes it so), `reqwest::Request` the feature `reqwest` (`reqwest-0-12` for that version)",
    note = "for another request that is `Clone`, say `RetryOnConnErr::new().clone_requests()`, which takes each for idempotent: not for HTTP"
)]
pub trait Replayable: Sized {
    /// A copy for another attempt, or `None` if there can't be one (a streaming body). Such a
    /// request still gets its first attempt, and another if an error [hands it back](Unsent).
    ///
    /// Called once for each attempt: make it cheap, with shared buffers.
    fn try_clone(&self) -> Option<Self>;

    /// Whether this request, after what has happened to it, can be replayed. Asked before each
    /// replay. Default: yes.
    fn can_replay(&self) -> bool {
        true
    }

    /// Whether doing it twice is as good as once. Default: yes. For HTTP: a safe or idempotent
    /// method (RFC 9110 §9.2.2), or an `Idempotency-Key` header.
    fn is_idempotent(&self) -> bool {
        true
    }

    /// What it goes to, as far as failing together is concerned. Default: [the one
    /// peer](Destination::default).
    fn destination(&self) -> Destination {
        Destination::default()
    }

    /// A number that is equal for equal destinations; the layer remembers by it which ones have
    /// worked, and reads it after each success. Default: computed from
    /// [`destination`](Self::destination). Override it only to save that.
    fn destination_hash(&self) -> u64 {
        self.destination().hash64()
    }

    /// How it spells its destination, for the layer to know again without a hash what has worked. Default:
    /// it does not say.
    #[doc(hidden)]
    #[inline]
    fn spelling(&self) -> Option<Spelling<'_>> {
        None
    }

    /// The bytes that are held while it waits, heap included as far as it can be known. Default: the
    /// size of the type.
    fn size_hint(&self) -> usize {
        size_of::<Self>()
    }

    /// Whether the wrapped client may follow redirects with it, so that a failed connect proves
    /// nothing about the first hop, which has read the request. Default: no. `reqwest::Request`:
    /// yes, unless [`redirects_off`](crate::RetryOnConnErr::redirects_off) is promised.
    ///
    /// Say yes where a layer within follows redirects or makes several attempts of one call for another
    /// reason (`tower::retry`, which belongs above), or a client that does is called:
    ///
    /// ```
    /// use tower_conn_retry::Replayable;
    ///
    /// #[derive(Clone)]
    /// struct Order(Vec<u8>);
    ///
    /// impl Replayable for Order {
    ///     fn try_clone(&self) -> Option<Self> {
    ///         Some(self.clone())
    ///     }
    ///
    ///     fn is_idempotent(&self) -> bool {
    ///         false
    ///     }
    ///
    ///     fn may_redirect(&self) -> bool {
    ///         true
    ///     }
    /// }
    /// ```
    fn may_redirect(&self) -> bool {
        false
    }

    /// For how long an [outbox](crate::Outbox) may keep it, should it come into one, where that is less
    /// than what the outbox [allows](crate::OutboxBuilder::max_age). Default: no limit of its own. For
    /// `http::Request`, the extension `outbox::MaxAge`.
    ///
    /// Asked once, when it is called. What is too old is told apart when its turn comes, or sooner if it
    /// is among the first that wait for their link.
    fn max_age(&self) -> Option<Duration> {
        None
    }

    /// Tells the request the number that an [outbox](crate::Outbox) has for it, before its first
    /// attempt. Only with an outbox. Default: nothing.
    ///
    /// The number stays the same for all attempts, with an outbox in a file over restarts too. Keep it
    /// in the message, so that the receiver can tell what comes a second time:
    ///
    /// ```
    /// use tower_conn_retry::{Replayable, Ticket};
    ///
    /// #[derive(Clone)]
    /// struct Reading { key: u64, celsius: f32 }
    ///
    /// impl Replayable for Reading {
    ///     fn try_clone(&self) -> Option<Self> {
    ///         Some(self.clone())
    ///     }
    ///
    ///     fn set_ticket(&mut self, ticket: Ticket) {
    ///         self.key = ticket.get();
    ///     }
    /// }
    /// ```
    fn set_ticket(&mut self, ticket: Ticket) {
        let _ = ticket;
    }

    /// Takes back a request that was not sent from the error of its attempt. Default: nothing.
    ///
    /// For a type of yours that a service hands back in an [`Unsent`], say
    /// `Unsent::find(error)`.
    fn take_back(error: &(dyn Error + 'static)) -> Option<Self> {
        let _ = error;
        None
    }
}
