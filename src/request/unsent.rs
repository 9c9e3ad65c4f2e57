use std::any::Any;
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::BoxError;
use crate::classify::steps;

/// Marks an error as one of *making* a connection: whatever broke, this attempt's request was
/// [provably not sent](crate::Sent::No).
///
/// Wrap the error of your own connector in it, and [`classify`](crate::classify()) reads it as a
/// connection error even if it knows nothing about what is inside.
/// `Reconnect` does so.
pub struct ConnectError {
    source: BoxError,
    request: Slot,
}

impl ConnectError {
    /// Marks `source` as an error of making a connection.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into(),
            request: Slot::default(),
        }
    }

    /// Hands the request back, for [`Unsent::find`].
    #[must_use]
    pub fn handing_back<Req: Send + 'static>(mut self, request: Req) -> Self {
        self.request = Slot::new(request);
        self
    }

    /// The error inside.
    pub fn into_source(self) -> BoxError {
        self.source
    }
}

impl fmt::Debug for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ConnectError").field(&self.source).finish()
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not connect")
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Marks an error as one of an attempt that was [provably not sent](crate::Sent::No), although a
/// connection was there.
///
/// It says nothing about what broke: [`classify`](crate::classify()) looks below it for that, and
/// the error is a connection error only if something below it is.
pub struct NotSent {
    source: BoxError,
    request: Slot,
}

impl NotSent {
    /// Marks `source` as the error of an attempt that was not sent.
    pub fn new(source: impl Into<BoxError>) -> Self {
        Self {
            source: source.into(),
            request: Slot::default(),
        }
    }

    /// Hands the request back, for [`Unsent::find`].
    #[must_use]
    pub fn handing_back<Req: Send + 'static>(mut self, request: Req) -> Self {
        self.request = Slot::new(request);
        self
    }

    /// The error inside.
    pub fn into_source(self) -> BoxError {
        self.source
    }
}

impl fmt::Debug for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NotSent").field(&self.source).finish()
    }
}

impl fmt::Display for NotSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was not sent")
    }
}

impl Error for NotSent {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// An error that hands an unsent request back, so that it can be replayed without ever having
/// been copied (a streaming body, for instance).
///
/// A service whose error, or some error in its chain of sources, is an `Unsent<Req>` gets the
/// request of this type replayed even if it can't be cloned. Being handed back is proof that it
/// was [not sent](crate::Sent::No).
pub struct Unsent<Req> {
    // A mutex, because a chain of sources gives shared references only.
    request: Mutex<Option<Req>>,
    source: NotSent,
}

impl<Req> Unsent<Req> {
    /// Hands `request` back, which was not sent because of `source`.
    pub fn new(request: Req, source: impl Into<BoxError>) -> Self {
        Self {
            request: Mutex::new(Some(request)),
            source: NotSent::new(source),
        }
    }

    /// Takes the request out. `None` if it was taken before.
    pub fn take(&self) -> Option<Req> {
        self.request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl<Req: Send + 'static> Unsent<Req> {
    /// Takes the request out of the first error in the chain that hands back one of this type: an
    /// `Unsent<Req>`, a [`ConnectError`], a [`NotSent`], or an error of this crate's TCP client whose
    /// request it had not encoded yet.
    pub fn find(error: &(dyn Error + 'static)) -> Option<Req> {
        steps(error).find_map(|error| {
            if let Some(unsent) = error.downcast_ref::<Self>() {
                return unsent.take();
            }
            if let Some(error) = error.downcast_ref::<ConnectError>() {
                return error.request.take();
            }
            #[cfg(feature = "tcp")]
            if let Some(error) = error.downcast_ref::<crate::tcp::Error>() {
                return error.take_unsent();
            }
            error.downcast_ref::<NotSent>()?.request.take()
        })
    }
}

impl<Req> fmt::Debug for Unsent<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unsent")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl<Req> fmt::Display for Unsent<Req> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request is handed back")
    }
}

impl<Req> Error for Unsent<Req> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// The place of a request in an error that is not generic.
#[derive(Default)]
pub(crate) struct Slot(Mutex<Option<Box<dyn Any + Send>>>);

impl Slot {
    pub(crate) fn new(request: impl Any + Send) -> Self {
        Self(Mutex::new(Some(Box::new(request))))
    }

    /// The request, if it is one of this type.
    pub(crate) fn take<Req: 'static>(&self) -> Option<Req> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let request = slot.take_if(|request| request.is::<Req>())?;
        request.downcast().ok().map(|request| *request)
    }
}
