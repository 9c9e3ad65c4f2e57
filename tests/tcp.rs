//! The framed TCP client, on real sockets.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![cfg(feature = "tcp")]

#[path = "tcp/bad_input.rs"]
mod bad_input;
#[path = "tcp/by_id.rs"]
mod by_id;
#[cfg(feature = "tls")]
#[path = "tcp/client_certificate.rs"]
mod client_certificate;
#[path = "tcp/closing.rs"]
mod closing;
#[path = "tcp/connect.rs"]
mod connect;
#[path = "tcp/dns.rs"]
mod dns;
#[path = "tcp/evidence.rs"]
mod evidence;
#[path = "tcp/one_way.rs"]
mod one_way;
#[path = "tcp/pipeline.rs"]
mod pipeline;
#[path = "tcp/reconnect.rs"]
mod reconnect;
#[path = "tcp/server.rs"]
mod server;
#[cfg(feature = "tls")]
#[path = "tcp/tls.rs"]
mod tls;
