use std::convert::Infallible;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// The runtime that something was begun on, if there was one.
///
/// A task on it does nothing but wait; it is dropped with the runtime, or ends when this is dropped.
pub(super) struct Home(Option<oneshot::Sender<Infallible>>);

impl Home {
    pub(super) fn here() -> Self {
        let runtime = Handle::try_current().ok();
        Self(runtime.map(|runtime| {
            let (home, dropped) = oneshot::channel();
            runtime.spawn(dropped);
            home
        }))
    }

    pub(super) fn is_gone(&self) -> bool {
        self.0.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}
