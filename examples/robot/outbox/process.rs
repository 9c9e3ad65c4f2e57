//! The robot's process, as the one sees it that has started it.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

use super::ROOT;
use super::wire::{Order, Said};
use crate::options::{Options, Pace};

/// It is killed when it is dropped.
pub(super) struct Process {
    child: Child,
    orders: mpsc::UnboundedSender<Order>,
    says: mpsc::UnboundedReceiver<Said>,
}

impl Process {
    pub(super) fn start(options: &Options, file: &Path, root: &str) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--be-the-robot");
        // In one argument: the file may have any name.
        let mut outbox = std::ffi::OsString::from("--outbox=");
        outbox.push(file);
        command.arg(outbox);
        command.arg(format!("--threads={}", options.threads));
        command.arg(format!("--seed={}", options.seed));
        if options.pace == Pace::FAST {
            command.arg("--fast");
        }
        command.env(ROOT, root).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let missing = || io::Error::other("the robot has no pipes");
        let to = child.stdin.take().ok_or_else(missing)?;
        let from = child.stdout.take().ok_or_else(missing)?;
        // Tasks of their own, so that neither process ever waits for the other to read.
        let (orders, queue) = mpsc::unbounded_channel();
        tokio::spawn(tell(to, queue));
        let (say, says) = mpsc::unbounded_channel();
        tokio::spawn(hear(from, say));
        Ok(Self {
            child,
            orders,
            says,
        })
    }

    /// If it is dead, that will be noticed elsewhere.
    pub(super) fn tell(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// `None` if it has ended.
    pub(super) async fn hear(&mut self) -> Option<Said> {
        self.says.recv().await
    }

    /// With SIGKILL. Hands out what it has said before.
    pub(super) async fn kill(mut self) -> io::Result<Vec<Said>> {
        self.child.kill().await?;
        let mut said = Vec::new();
        while let Some(next) = self.says.recv().await {
            said.push(next);
        }
        Ok(said)
    }

    pub(super) async fn end(mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

async fn tell(mut to: ChildStdin, mut orders: mpsc::UnboundedReceiver<Order>) {
    while let Some(order) = orders.recv().await {
        if to.write_all(order.line().as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn hear(from: ChildStdout, say: mpsc::UnboundedSender<Said>) {
    let mut from = BufReader::new(from);
    let mut line = String::new();
    while from.read_line(&mut line).await.is_ok() {
        // The last line of one that was killed may be a part only.
        let Some(whole) = line.strip_suffix('\n') else {
            return;
        };
        if let Some(said) = Said::parse(whole) {
            let _ = say.send(said);
        }
        line.clear();
    }
}
