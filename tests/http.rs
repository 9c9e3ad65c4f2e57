//! The layer around real HTTP clients, on real sockets. What a server has read is its own account.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![cfg(all(feature = "hyper-util", feature = "reqwest"))]

#[path = "../examples/server/mod.rs"]
mod server;

#[path = "http/bytes.rs"]
mod bytes;
#[path = "http/calls.rs"]
mod calls;
#[path = "http/destinations.rs"]
mod destinations;
#[path = "http/hyper_util.rs"]
mod hyper_util;
#[path = "http/keys.rs"]
mod keys;
#[path = "http/passed_through.rs"]
mod passed_through;
#[path = "http/redirects.rs"]
mod redirects;
#[path = "http/reqwest.rs"]
mod reqwest;
#[cfg(feature = "reqwest-0-12")]
#[path = "http/reqwest_0_12.rs"]
mod reqwest_0_12;
#[path = "http/unavailable.rs"]
mod unavailable;
#[path = "http/upload_server.rs"]
mod upload_server;
#[path = "http/uploads.rs"]
mod uploads;
