use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tower_service::Service;

use super::shutdown;
use crate::BoxError;

/// The maker of connections, and the connect attempt that is under way, if any.
pub(super) struct Attempt<M: Service<T>, T> {
    maker: M,
    target: T,
    /// Boxed, because it moves between those who poll it. One allocation for each connection.
    connecting: Option<Pin<Box<M::Future>>>,
    /// Everybody who waited for it has gone.
    orphaned: bool,
}

/// How an attempt ended that brought no connection.
enum End {
    Failed(BoxError),
    Panicked(Box<dyn Any + Send>),
}

impl<M, T> Attempt<M, T>
where
    M: Service<T>,
    M::Error: Into<BoxError>,
    T: Clone,
{
    /// Goes on with the attempt, or begins one. `begun` is how many this caller has begun.
    ///
    /// An attempt that outlived its callers is worth continuing (it may be about to succeed, and
    /// callers with a short timeout would never get a connection otherwise), but its failure is
    /// nobody's any more: a new attempt takes its place. So it does where the runtime is gone that it
    /// was begun on, and where it panics and another caller has begun it; but not without end.
    pub(super) fn poll(
        &mut self,
        begun: &mut u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<M::Response, BoxError>> {
        let orphaned = std::mem::take(&mut self.orphaned);
        let is_old = self.connecting.is_some();
        let end = match ready!(self.poll_once(begun, cx)) {
            Ok(conn) => return Poll::Ready(Ok(conn)),
            Err(end) if is_old && (orphaned || end.is_anothers(*begun)) => {
                // What it has of a runtime that is gone may panic once more.
                drop(end);
                match ready!(self.poll_once(begun, cx)) {
                    Ok(conn) => return Poll::Ready(Ok(conn)),
                    Err(end) => end,
                }
            }
            Err(end) => end,
        };
        match end {
            End::Failed(error) => Poll::Ready(Err(error)),
            End::Panicked(panic) => resume_unwind(panic),
        }
    }

    fn poll_once(
        &mut self,
        begun: &mut u32,
        cx: &mut Context<'_>,
    ) -> Poll<Result<M::Response, End>> {
        let connecting = match &mut self.connecting {
            Some(connecting) => connecting,
            None => {
                let ready = ready!(self.maker.poll_ready(cx));
                ready.map_err(|error| End::Failed(error.into()))?;
                let connecting = self.maker.call(self.target.clone());
                *begun += 1;
                self.connecting.insert(Box::pin(connecting))
            }
        };
        let polled = catch_unwind(AssertUnwindSafe(|| connecting.as_mut().poll(cx)));
        let result = match polled {
            Ok(polled) => ready!(polled).map_err(|error| End::Failed(error.into())),
            Err(panic) => Err(End::Panicked(panic)),
        };
        self.abandon();
        Poll::Ready(result)
    }
}

impl End {
    /// Whether it has to do with those who came before the caller that sees it.
    fn is_anothers(&self, begun: u32) -> bool {
        match self {
            Self::Failed(error) => begun < 2 && shutdown::is_error_of_it(&**error),
            Self::Panicked(panic) => {
                begun == 0 || (begun < 2 && shutdown::is_panic_of_it(&**panic))
            }
        }
    }
}

impl<M: Service<T>, T> Attempt<M, T> {
    pub(super) fn new(maker: M, target: T) -> Self {
        Self {
            maker,
            target,
            connecting: None,
            orphaned: false,
        }
    }

    /// Drops the connect future, whatever state it is in. After a panic it may panic again.
    pub(super) fn abandon(&mut self) {
        let connecting = self.connecting.take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(connecting)));
    }

    pub(super) fn orphan(&mut self) {
        self.orphaned = self.connecting.is_some();
    }
}
