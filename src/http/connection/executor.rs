use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use hyper::rt;

use super::serial::Serial;

/// A task that drives a connection.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What runs the tasks of the connections: tokio, or another one. Those of one HTTP/2 connection
/// never run at the same time.
#[derive(Clone, Default)]
pub struct Executor(Option<Arc<dyn rt::Executor<Task> + Send + Sync>>);

impl Executor {
    pub(super) fn new(executor: impl rt::Executor<Task> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(executor)))
    }

    pub(super) fn spawn<F: Future<Output: Send> + Send + 'static>(&self, task: F) {
        match &self.0 {
            Some(executor) => executor.execute(Box::pin(async { drop(task.await) })),
            None => drop(tokio::spawn(task)),
        }
    }
}

/// hyper spawns while the handshake or another task of the same connection is polled.
impl<F: Future<Output: Send> + Send + 'static> rt::Executor<F> for Executor {
    fn execute(&self, task: F) {
        match Serial::current() {
            Some(serial) => self.spawn(serial.run(task)),
            None => self.spawn(task),
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.0.as_ref().map_or("tokio", |_| "other");
        f.debug_tuple("Executor").field(&name).finish()
    }
}
