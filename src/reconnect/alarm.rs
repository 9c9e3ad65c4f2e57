use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// Later than by so much timers don't come, unless the process had to wait.
const LATE: Duration = Duration::from_millis(2);

/// Goes off when others have had their time.
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// It was late, and has let all go first who were about to be polled.
    yielded: bool,
}

impl Alarm {
    pub(super) fn at(time: Instant) -> Self {
        Self {
            sleep: Box::pin(sleep_until(time)),
            yielded: false,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        ready!(self.sleep.as_mut().poll(cx));
        let is_late = self.sleep.deadline().elapsed() > LATE;
        if is_late && !std::mem::replace(&mut self.yielded, true) {
            // Then so is whoever is to go first, perhaps: all that is ready is polled before this is again.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}
