use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tower_service::Service;

/// The maker of connections, and the connect attempt that is under way, if any.
pub(super) struct Attempt<M: Service<T>, T> {
    maker: M,
    target: T,
    /// Boxed, because it moves between those who poll it. One allocation for each connection.
    connecting: Option<Pin<Box<M::Future>>>,
    /// Everybody who waited for it has gone.
    orphaned: bool,
}

impl<M: Service<T>, T: Clone> Attempt<M, T> {
    pub(super) fn new(maker: M, target: T) -> Self {
        Self {
            maker,
            target,
            connecting: None,
            orphaned: false,
        }
    }

    /// Goes on with the attempt, or begins one.
    ///
    /// An attempt that outlived its callers is worth continuing (it may be about to succeed, and
    /// callers with a short timeout would never get a connection otherwise), but its failure is
    /// nobody's any more: a new attempt takes its place.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<M::Response, M::Error>> {
        let orphaned = std::mem::take(&mut self.orphaned);
        match (ready!(self.poll_once(cx)), orphaned) {
            (Err(_), true) => self.poll_once(cx),
            (result, _) => Poll::Ready(result),
        }
    }

    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<Result<M::Response, M::Error>> {
        let connecting = match &mut self.connecting {
            Some(connecting) => connecting,
            None => {
                ready!(self.maker.poll_ready(cx))?;
                let connecting = self.maker.call(self.target.clone());
                self.connecting.insert(Box::pin(connecting))
            }
        };
        let result = ready!(connecting.as_mut().poll(cx));
        self.connecting = None;
        Poll::Ready(result)
    }
}

impl<M: Service<T>, T> Attempt<M, T> {
    /// Drops the connect future, whatever state it is in.
    pub(super) fn abandon(&mut self) {
        self.connecting = None;
    }

    pub(super) fn orphan(&mut self) {
        self.orphaned = self.connecting.is_some();
    }
}
