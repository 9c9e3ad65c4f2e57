//! The command line.

use std::time::Duration;

pub(crate) const HELP: &str = "\
A robot's tour through a house where the connection breaks in another way in each room.
Its messages are counted at the base.

Usage: cargo run --release --example robot -- [OPTIONS]

Options:
    --fast         short outages and a high rate: a few seconds instead of half a minute
    --seed N       seeds all that is random: moments of the breaks, sizes of the messages
    --threads N    worker threads, 1 to 64 (default: 2)
    --help         prints this

Status: 0 if this crate's client lost nothing and everything came in order, 1 if not,
2 if the command line is wrong.
";

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Options),
    Help,
}

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) pace: Pace,
}

/// How fast everything goes. All three clients have the same pace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// An outage takes about three of these; all time limits are made of it too.
    pub(crate) beat: Duration,
    /// The time between two messages.
    pub(crate) interval: Duration,
}

impl Pace {
    const WATCH: Self = Self {
        beat: Duration::from_secs(1),
        interval: Duration::from_millis(40),
    };
    const FAST: Self = Self {
        beat: Duration::from_millis(100),
        interval: Duration::from_millis(4),
    };
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, String> {
        let mut options = Self {
            // Small, so that it is easily typed again.
            seed: fastrand::u64(..1_000_000),
            threads: 2,
            pace: Pace::WATCH,
        };
        let mut arguments = arguments.peekable();
        while let Some(argument) = arguments.next() {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (&*argument, None),
            };
            let number = |arguments: &mut dyn Iterator<Item = String>| {
                let value = value.clone().or_else(|| arguments.next());
                let value = value.ok_or_else(|| format!("{name} needs a number"))?;
                let wrong = |_| format!("{name}: {value:?} is not a number");
                value.parse::<u64>().map_err(wrong)
            };
            match (name, &value) {
                ("--help" | "-h", None) => return Ok(Command::Help),
                ("--fast", None) => options.pace = Pace::FAST,
                ("--seed", _) => options.seed = number(&mut arguments)?,
                ("--threads", _) => {
                    options.threads = match number(&mut arguments)? {
                        threads @ 1..=64 => threads as usize,
                        other => return Err(format!("--threads: {other} is not within 1 to 64")),
                    }
                }
                _ => return Err(format!("what is {argument:?}?")),
            }
        }
        Ok(Command::Run(options))
    }
}
