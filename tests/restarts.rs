//! The proof: 1,000 requests a second of mixed methods through 20 restarts, with real servers. Every
//! GET is answered; every POST with a key is effective exactly once at a server that tells replays by
//! their key; no POST without a key is read twice; and an error says truthfully whether the request
//! was sent: the server's own log is compared.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]
#![cfg(all(
    feature = "hyper-conn",
    feature = "hyper-util",
    feature = "reqwest",
    feature = "tonic"
))]

#[path = "../examples/tonic/echo.rs"]
mod echo;
#[path = "http_clients/origin.rs"]
mod origin;

#[path = "restarts/caller.rs"]
mod caller;
#[path = "restarts/calls.rs"]
mod calls;
#[path = "restarts/check.rs"]
mod check;
#[path = "restarts/clients.rs"]
mod clients;
#[path = "restarts/few.rs"]
mod few;
#[path = "restarts/hyper.rs"]
mod hyper_servers;
#[path = "restarts/ledger.rs"]
mod ledger;
#[path = "restarts/load.rs"]
mod load;
#[path = "restarts/nginx.rs"]
mod nginx;
#[path = "restarts/tls.rs"]
mod tls;
