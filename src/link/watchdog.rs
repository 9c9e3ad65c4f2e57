use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, Weak};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::Table;
use crate::Destination;
use crate::sync::{Mutex, MutexGuard};

/// Sees to it that a turn passes on even if both callers who have timers for it are stalled.
///
/// It is a timer that no task polls: its waker does the work. There is one for each link in trouble
/// with more than two in line, and it goes off only if callers are stalled.
pub(super) struct Watchdog {
    table: Weak<Table>,
    destination: Destination,
    sleep: Mutex<Option<Pin<Box<Sleep>>>>,
}

const MOST_SLACK: Duration = Duration::from_secs(3600);

impl Watchdog {
    pub(super) fn new(table: Weak<Table>, destination: Destination) -> Self {
        let sleep = Mutex::default();
        Self {
            table,
            destination,
            sleep,
        }
    }

    /// Goes off at this time or up to two `slack`s later, so that it need not be set for each turn.
    /// Needs that no lock is held, and `in_task` a runtime. Without one it can only be moved: `false`
    /// if there is nothing to move.
    pub(super) fn watch(self: &Arc<Self>, at: Instant, slack: Duration, in_task: bool) -> bool {
        let slack = slack.min(MOST_SLACK);
        let (Some(until), Some(latest)) = (at.checked_add(slack), at.checked_add(2 * slack)) else {
            return true; // never
        };
        let mut sleep = self.lock();
        let set = sleep.as_ref().map(|sleep| sleep.deadline());
        if set.is_some_and(|set| set >= at && set <= latest) {
            return true;
        }
        // Not under the lock: a timer that is set to a time that is over wakes at once.
        let former = sleep.take();
        drop(sleep);
        let (timer, over) = if in_task {
            // A new one, since the former may be of a runtime that is gone.
            drop(former);
            let mut timer = Box::pin(sleep_until(until));
            let waker = Waker::from(Arc::clone(self));
            let over = timer.as_mut().poll(&mut Context::from_waker(&waker));
            (timer, over.is_ready())
        } else {
            let Some(mut timer) = former else {
                return false;
            };
            timer.as_mut().reset(until);
            let over = timer.is_elapsed();
            (timer, over)
        };
        if over {
            drop(timer);
            Arc::clone(self).wake();
        } else {
            let other = self.lock().replace(timer);
            drop(other);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Option<Pin<Box<Sleep>>>> {
        self.sleep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Watchdog {
    fn wake(self: Arc<Self>) {
        // It is set again by who asks next; here there may be no runtime any more.
        let over = self.lock().take();
        drop(over);
        if let Some(table) = self.table.upgrade() {
            table.pass_on(&self.destination);
        }
    }
}
