//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
A robot's tour through a house where the connection breaks in another way in each room.
Its messages are counted at the base.

Usage: cargo run --release --example robot -- [OPTIONS]

Options:
    --fast         short outages and a high rate: a few seconds instead of half a minute
    --seed N       seeds all that is random: moments of the breaks, sizes of the messages
    --threads N    worker threads, 1 to 64 (default: 2)
    --outbox FILE  another tour: the robot is a process of its own, with an outbox in this file
                   (feature outbox-disk)
    --kill         kills that process again and again, and starts it anew; needs --outbox
    --help         prints this

Status: 0 if this crate's client lost nothing and everything came in order, 1 if not,
2 if the command line is wrong. With --outbox: 0 if nothing was lost.
";

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Command {
    Run(Options),
    /// To be the robot of a tour with an outbox, which the tour's process starts.
    #[cfg(feature = "outbox-disk")]
    Robot(Options),
    Help,
}

#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) pace: Pace,
    pub(crate) outbox: Option<PathBuf>,
    pub(crate) kill: bool,
}

/// How fast everything goes. All three clients have the same pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub(crate) const FAST: Self = Self {
        beat: Duration::from_millis(100),
        interval: Duration::from_millis(4),
    };
}

impl Options {
    pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
        let text = |argument: OsString| {
            let wrong = |argument| format!("{argument:?} is not Unicode");
            argument.into_string().map_err(wrong)
        };
        let arguments: Vec<_> = arguments.map(text).collect::<Result<_, _>>()?;
        let mut options = Self {
            // Small, so that it is easily typed again.
            seed: fastrand::u64(..1_000_000),
            threads: 2,
            pace: Pace::WATCH,
            outbox: None,
            kill: false,
        };
        let mut robot = false;
        let mut arguments = arguments.into_iter();
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
                ("--outbox", _) => {
                    let next = || arguments.next().filter(|next| !next.starts_with("--"));
                    let file = value.clone().or_else(next).filter(|file| !file.is_empty());
                    options.outbox = Some(file.ok_or("--outbox needs a file")?.into());
                }
                ("--kill", None) => options.kill = true,
                // No option for people.
                ("--be-the-robot", None) => robot = true,
                _ => return Err(format!("what is {argument:?}?")),
            }
        }
        match &options.outbox {
            None if options.kill || robot => {
                Err("--kill needs --outbox FILE: what is only in memory is lost".to_owned())
            }
            Some(_) if cfg!(not(feature = "outbox-disk")) => {
                let needs = "--outbox needs the feature `outbox-disk`: cargo run --release";
                Err(format!(
                    "{needs} --features outbox-disk --example robot -- …"
                ))
            }
            #[cfg(feature = "outbox-disk")]
            _ if robot => Ok(Command::Robot(options)),
            _ => Ok(Command::Run(options)),
        }
    }
}
