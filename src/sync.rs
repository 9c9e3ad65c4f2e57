//! The locks and atomics whose order of use is checked: in builds with `--cfg shuttle` the unit tests
//! take the ones that the checker has its hand on (see `schedules`).

#[cfg(all(test, shuttle))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
#[cfg(not(all(test, shuttle)))]
pub(crate) use std::sync::{Mutex, MutexGuard, atomic};
