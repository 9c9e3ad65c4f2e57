//! How a robot's life begins, and when and how it ends.

use std::sync::atomic::Ordering::Relaxed;

use tokio::time::Instant;
use tower_conn_retry::BoxError;

use super::process::Process;
use super::tour::Tour;
use super::wire::Order;

/// A robot.
pub(super) struct Life {
    pub(super) process: Process,
    pub(super) opened: bool,
    /// When it is killed.
    pub(super) end: Option<Instant>,
}

impl Tour<'_> {
    pub(super) fn start(&mut self) -> Result<Life, BoxError> {
        // Some are killed while they start or open the file.
        let soon = self.options.kill && self.random.u8(..5) == 0;
        let time = self.options.pace.beat.mul_f64(0.5 * self.random.f64());
        Ok(Life {
            process: Process::start(self.options, self.file, self.root)?,
            opened: false,
            end: soon.then(|| Instant::now() + time),
        })
    }

    pub(super) fn opened(&mut self, life: &mut Life, left: usize, kill: bool) {
        if !self.account.kills.is_empty() {
            self.screen
                .say(&format!("  restarted, with {left} in its outbox"));
        }
        life.opened = true;
        let address = self.address.borrow_and_update().clone();
        life.process.tell(Order::Address(address));
        let time = self.options.pace.beat.mul_f64(4.0 * self.random.f64());
        life.end = (self.options.kill && kill).then(|| Instant::now() + time);
    }

    /// Kills the robot, and starts another one.
    pub(super) async fn kill(&mut self, life: Life) -> Result<Life, BoxError> {
        for said in life.process.kill().await? {
            self.note(&said);
        }
        let again = self.account.unaccepted.len();
        let newest = self.gauge.sent.load(Relaxed).saturating_sub(1);
        self.account.killed(newest);
        let again = self.account.unaccepted.len() - again;
        let what = if life.opened { "" } else { " while it started" };
        self.screen.say(&format!(
            "  KILLED{what}; {again} messages were not accepted yet"
        ));
        self.start()
    }
}
