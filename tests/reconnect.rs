//! `Reconnect` over connections that the tests hold in their hands.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "reconnect/cancel.rs"]
mod cancel;
#[path = "reconnect/connections.rs"]
mod connections;
#[path = "reconnect/expiry.rs"]
mod expiry;
#[path = "reconnect/hearing.rs"]
mod hearing;
#[path = "reconnect/mock.rs"]
mod mock;
#[path = "reconnect/runtimes.rs"]
mod runtimes;
#[path = "reconnect/single_flight.rs"]
mod single_flight;
