//! Callers who come, go and stall, under thousands of schedules of their threads.
//!
//! [Shuttle](shuttle) runs each scenario many times, and at every use of a lock or an atomic (by
//! `crate::sync`) chooses the thread that goes on. The clock is tokio's, paused: it moves on only when
//! every thread is asleep, so a wake-up that is lost shows, either as a caller who hangs, or as time
//! that passed because a timer had to make up for it.
//!
//! ```console
//! RUSTC_WORKSPACE_WRAPPER=.ci/shuttle-rustc cargo test --all-features --lib schedules
//! ```
//!
//! `SCHEDULES=20000` runs so many of each scenario, other ones each time. Not covered: weak memory
//! orders (the checker takes every atomic for sequentially consistent), and interleavings inside of
//! tokio, `Known` and the lock of the service's template.

#![allow(clippy::unwrap_used, reason = "tests")]

mod callers;
mod hearing;
mod links;
mod peer;
mod reconnects;
#[cfg(feature = "hyper-conn")]
mod successions;
mod world;

use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

use world::World;

/// The schedules of each scenario, unless the environment says otherwise.
const SCHEDULES: usize = 400;

/// Runs a scenario under many schedules: half of them at random, half with few changes of the thread.
fn check(scenario: impl Fn(&World) + Send + Sync + Copy + 'static) {
    let mut config = Config::new();
    config.stack_size = 1 << 19;
    config.silence_warnings = true;
    config.max_time = Some(Duration::from_secs(600));
    let run = move || World::run(scenario);
    let number = std::env::var("SCHEDULES").ok();
    let (random, few) = match number.and_then(|number| number.parse::<usize>().ok()) {
        Some(number) => (
            RandomScheduler::new(number / 2),
            PctScheduler::new(3, number / 2),
        ),
        None => (
            RandomScheduler::new_from_seed(1, SCHEDULES / 2),
            PctScheduler::new_from_seed(1, 3, SCHEDULES / 2),
        ),
    };
    Runner::new(random, config.clone()).run(run);
    Runner::new(few, config).run(run);
}

/// A number below this one, which the checker draws.
fn below(end: u64) -> u64 {
    use shuttle::rand::RngCore;
    shuttle::rand::thread_rng().next_u64() % end
}
