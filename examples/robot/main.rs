//! A robot drives through a house and sends numbered messages to its base, while the connection is
//! broken for real, in another way in each room. What arrived is counted at the base.
//!
//! The same tour is made three times side by side, each with a base of its own: by a client without
//! any retry, by one with `tower::retry`, and by one with this crate's layer.
//!
//! ```text
//! cargo run --release --example robot             # half a minute, to watch
//! cargo run --release --example robot -- --fast   # a few seconds
//! ```
//!
//! With an outbox the robot is a process of its own, which is killed meanwhile (see `outbox/`):
//!
//! ```text
//! cargo run --release --features outbox-disk --example robot -- --outbox FILE --kill
//! ```
//!
//! Where to look:
//!
//! - `client.rs`: the three clients, that is, how the layer is used;
//! - `rooms.rs`: the ways in which the connection is broken;
//! - `base.rs` and `connection.rs`: the server;
//! - `ledger.rs`: how lost, duplicated and out of order are counted.

mod base;
mod board;
mod client;
mod connection;
mod ledger;
mod options;
#[cfg(feature = "outbox-disk")]
mod outbox;
mod rooms;
mod screen;
mod table;
mod tls;
mod tour;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use tower_conn_retry::BoxError;

use board::Board;
use client::Kind;
use options::{Command, Options};
use table::Report;
use tls::Certificates;

fn main() -> ExitCode {
    let result = match Options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Run(options)) => run(options),
        #[cfg(feature = "outbox-disk")]
        Ok(Command::Robot(options)) => outbox::be_the_robot(options),
        Ok(Command::Help) => {
            print!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("robot: {error}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(status) => status,
        Err(error) => {
            eprintln!("robot: {}", screen::in_full(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<ExitCode, BoxError> {
    #[cfg(feature = "outbox-disk")]
    if let Some(file) = &options.outbox {
        return outbox::run(&options, file);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()?;
    let reports = runtime.block_on(three_tours(&options));
    // A name resolution may still be under way on a thread of its own; it is not waited for.
    runtime.shutdown_timeout(Duration::ZERO);
    let reports = reports?;

    let mut out = io::stdout().lock();
    writeln!(out, "{}", table::render(&reports))?;
    let ours = reports.iter().find(|report| report.kind == Kind::ConnRetry);
    let total = ours.map(Report::total).ok_or("the tour was not made")?;
    if total.lost > 0 || total.out_of_order > 0 {
        writeln!(out, "FAILED: something was lost or out of order")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

async fn three_tours(options: &Options) -> Result<[Report; 3], BoxError> {
    let certificates = Certificates::generate()?;
    let board = Board::start(options);
    let tour = |kind| tour::make(kind, options, &certificates, &board);
    let (bare, retry, ours) = tokio::try_join!(
        tour(Kind::Bare),
        tour(Kind::TowerRetry),
        tour(Kind::ConnRetry)
    )?;
    board.finish();
    Ok([bare, retry, ours])
}
