//! The tour with an outbox. The robot is a process of its own, which may be killed at any moment; the
//! base, the rooms and all counting are in the process that starts it.
//!
//! That one also says what is to be sent. Each message is sent until it was accepted: answered or
//! deferred. What a robot had accepted must arrive, whatever became of the robot. What it was killed on
//! before it could say so, nobody has promised, so the next robot is told to send it again.
//!
//! - `robot.rs`: the robot, that is, how an outbox is used;
//! - `tour.rs` and `life.rs`: the tour, and the kills;
//! - `process.rs` and `wire.rs`: how the two processes speak;
//! - `account.rs` and `table.rs`: what was accepted, and what became of it.

mod account;
mod life;
mod process;
mod robot;
mod table;
mod tour;
mod wire;

use std::future::Future;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tower_conn_retry::BoxError;

use crate::options::Options;

/// What the robot trusts, as PEM.
const ROOT: &str = "ROBOT_TRUSTS";

pub(crate) fn run(options: &Options, file: &Path) -> Result<ExitCode, BoxError> {
    let report = block_on(options, tour::make(options, file))?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}", report.render())?;
    if report.total().lost > 0 {
        writeln!(out, "FAILED: something that was accepted was lost")?;
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn be_the_robot(options: Options) -> Result<ExitCode, BoxError> {
    block_on(&options, robot::live(&options))?;
    Ok(ExitCode::SUCCESS)
}

fn block_on<T>(
    options: &Options,
    all: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .enable_all()
        .build()?;
    let result = runtime.block_on(all);
    // Name resolutions, and the reading of the standard input, are not waited for.
    runtime.shutdown_timeout(Duration::ZERO);
    result
}
