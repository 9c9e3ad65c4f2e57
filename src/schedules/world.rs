use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use shuttle::sync::{Condvar, Mutex, MutexGuard};
use shuttle::thread;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// Longer than any timer of a scenario.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// The threads of a scenario, and its clock, which stands still while any of them is awake.
pub(super) struct World {
    threads: Arc<Threads>,
    runtime: Runtime,
}

impl World {
    pub(super) fn run(scenario: impl Fn(&World)) {
        let mut runtime = Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build();
        let world = World {
            threads: Arc::default(),
            runtime: runtime.expect("a runtime"),
        };
        let _context = world.runtime.enter();
        scenario(&world);
    }

    /// Runs this in a thread of its own.
    pub(super) fn spawn(&self, run: impl FnOnce() + Send + 'static) {
        self.threads.spawn(run);
    }

    pub(super) fn threads(&self) -> Arc<Threads> {
        self.threads.clone()
    }

    /// Drives a future in a thread of its own, which sleeps when it is not woken.
    pub(super) fn drive(&self, future: impl Future<Output = ()> + Send + 'static) {
        let number = self.threads.begin();
        let threads = self.threads.clone();
        thread::spawn(move || {
            let mut future = Box::pin(future);
            let waker = Waker::from(Arc::new(Sleeper {
                threads: threads.clone(),
                number,
            }));
            let cx = &mut Context::from_waker(&waker);
            while future.as_mut().poll(cx).is_pending() {
                threads.sleep(number);
            }
            drop(future);
            threads.end();
        });
    }

    /// Lets time pass, to the next timer, whenever nobody is awake, until everybody has ended.
    pub(super) fn finish(&self) {
        while self.threads.all_asleep() {
            let mut polled = false;
            let woken = poll_fn(|cx| {
                let mut clock = self.threads.clock();
                if std::mem::replace(&mut polled, true) && clock.is_none() {
                    return Poll::Ready(());
                }
                *clock = Some(cx.waker().clone());
                Poll::Pending
            });
            let woken = async { timeout(FOR_EVER, pin!(woken)).await };
            assert!(self.runtime.block_on(woken).is_ok(), "somebody hangs");
        }
    }
}

#[derive(Default)]
pub(super) struct Threads {
    state: Mutex<State>,
    changed: Condvar,
    /// Wakes the clock. Not one of the checker's locks, since it is used inside of tokio.
    clock: std::sync::Mutex<Option<Waker>>,
}

#[derive(Default)]
struct State {
    living: usize,
    awake: usize,
    of: Vec<Thread>,
}

#[derive(Default)]
struct Thread {
    asleep: bool,
    woken: bool,
}

impl Threads {
    pub(super) fn spawn(self: &Arc<Self>, run: impl FnOnce() + Send + 'static) {
        self.begin();
        let threads = self.clone();
        thread::spawn(move || {
            run();
            threads.end();
        });
    }

    fn begin(&self) -> usize {
        let mut state = self.lock();
        state.living += 1;
        state.awake += 1;
        state.of.push(Thread::default());
        state.of.len() - 1
    }

    fn end(&self) {
        let mut state = self.lock();
        state.living -= 1;
        state.awake -= 1;
        drop(state);
        self.changed.notify_all();
    }

    fn sleep(&self, number: usize) {
        let mut state = self.lock();
        if !state.of[number].woken {
            state.of[number].asleep = true;
            state.awake -= 1;
            self.changed.notify_all();
        }
        while !state.of[number].woken {
            state = self.wait(state);
        }
        state.of[number].woken = false;
    }

    fn wake(&self, number: usize) {
        let mut state = self.lock();
        let thread = &mut state.of[number];
        thread.woken = true;
        if std::mem::take(&mut thread.asleep) {
            state.awake += 1;
        }
        drop(state);
        self.changed.notify_all();
        let clock = self.clock().take();
        clock.into_iter().for_each(Waker::wake);
    }

    /// Waits until nobody is awake. Whether there is anybody.
    fn all_asleep(&self) -> bool {
        let mut state = self.lock();
        while state.awake > 0 {
            state = self.wait(state);
        }
        state.living > 0
    }

    fn clock(&self) -> std::sync::MutexGuard<'_, Option<Waker>> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let state = self.changed.wait(state);
        state.unwrap_or_else(PoisonError::into_inner)
    }
}

struct Sleeper {
    threads: Arc<Threads>,
    number: usize,
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.threads.wake(self.number);
    }
}
