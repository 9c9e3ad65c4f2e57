//! Where lines go to: a terminal with progress bars, or a plain stream.

use std::error::Error;
use std::io::{IsTerminal as _, stderr};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

#[derive(Clone)]
pub(crate) struct Screen {
    bars: MultiProgress,
    terminal: bool,
    begun: Instant,
}

impl Screen {
    pub(crate) fn start() -> Self {
        let terminal = stderr().is_terminal();
        let target = match terminal {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            terminal,
            begun: Instant::now(),
        }
    }

    /// A line that can be changed. It is only on terminals.
    pub(crate) fn line(&self) -> ProgressBar {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            bar.set_style(style);
        }
        self.bars.add(bar)
    }

    pub(crate) fn say(&self, text: &str) {
        let line = format!("{:>6.1} s  {text}", self.begun.elapsed().as_secs_f64());
        // A terminal that has gone is no reason to stop.
        match self.terminal {
            true => drop(self.bars.println(line)),
            false => eprintln!("{line}"),
        }
    }

    /// Removes the lines that can be changed.
    pub(crate) fn clear(&self) {
        if let Err(error) = self.bars.clear() {
            eprintln!("the screen could not be cleared: {error}");
        }
    }
}

/// An error with everything that led to it.
pub(crate) fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}
