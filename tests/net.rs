//! The client and the classifier on real networks: hosts are network namespaces, joined by a router
//! that breaks what it is told to break. Needs Linux, root, iproute2 and nftables.
//!
//! `cargo test --all-features --test net`, with a part of a test's name to run only some.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "net/chain.rs"]
mod chain;
#[path = "net/child.rs"]
mod child;
#[path = "net/dns.rs"]
mod dns;
#[path = "net/errnos/mod.rs"]
mod errnos;
#[path = "net/faults/mod.rs"]
mod faults;
#[path = "net/host.rs"]
mod host;
#[path = "net/lan.rs"]
mod lan;
#[path = "net/proxy.rs"]
mod proxy;
#[path = "net/server.rs"]
mod server;
#[path = "net/stream.rs"]
mod stream;
#[path = "net/table.rs"]
mod table;
#[path = "net/wake.rs"]
mod wake;
#[path = "net/witness.rs"]
mod witness;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    if child::played() {
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    if let Some(why) = host::impossible() {
        eprintln!("SKIPPED: all tests on real networks: {why}");
        return match std::env::var_os("CI") {
            Some(_) => ExitCode::FAILURE,
            None => ExitCode::SUCCESS,
        };
    }
    // They wait for the network most of the time.
    arguments.test_threads.get_or_insert(8);
    let trials = faults::all().into_iter().chain(errnos::all());
    let trials = trials.chain(wake::all());
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if let Some(table) = table::show() {
        println!("{table}");
    }
    conclusion.exit_code()
}

fn test(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        run();
        Ok(())
    })
}
