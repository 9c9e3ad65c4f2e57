//! HTTP clients whose connections break, with real servers on real sockets. What a server has read is
//! its own account.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![cfg(all(
    feature = "hyper-conn",
    feature = "hyper-util",
    feature = "reqwest",
    feature = "tonic"
))]

#[path = "http_clients/calls.rs"]
mod calls;
#[path = "../examples/tonic/echo.rs"]
mod echo;

#[path = "http_clients/origin.rs"]
mod origin;

#[path = "http_clients/closing.rs"]
mod closing;
#[path = "http_clients/endings.rs"]
mod endings;
#[path = "http_clients/goaways.rs"]
mod goaways;
#[path = "http_clients/http1.rs"]
mod http1;
#[path = "http_clients/http2.rs"]
mod http2;
#[path = "http_clients/messages.rs"]
mod messages;
#[path = "http_clients/nacks.rs"]
mod nacks;
#[path = "http_clients/pools.rs"]
mod pools;
#[path = "http_clients/proxies.rs"]
mod proxies;
#[path = "http_clients/refusals.rs"]
mod refusals;
#[path = "http_clients/relay.rs"]
mod relay;
#[path = "http_clients/some_refused.rs"]
mod some_refused;
#[path = "http_clients/stampede.rs"]
mod stampede;
#[path = "http_clients/tonic.rs"]
mod tonic;
