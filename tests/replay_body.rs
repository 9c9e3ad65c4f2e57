//! `ReplayBody` by itself: who reads what, in which order, and what is kept of it.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![cfg(feature = "http")]

#[path = "replay_body/caps.rs"]
mod caps;
#[path = "replay_body/hints.rs"]
mod hints;
#[path = "replay_body/random.rs"]
mod random;
#[path = "replay_body/readers.rs"]
mod readers;
#[path = "replay_body/script.rs"]
mod script;
#[path = "replay_body/threads.rs"]
mod threads;
