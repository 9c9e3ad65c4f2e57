//! The tour: what is sent, when the robot is killed, and when all is over.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tower_conn_retry::BoxError;

use super::account::Account;
use super::process::Process;
use super::table::Report;
use super::wire::{Order, Said};
use crate::board::Gauge;
use crate::options::{Options, Pace};
use crate::rooms::{House, Room};
use crate::screen::Screen;
use crate::table::Stop;
use crate::tls::Certificates;
use crate::tour;

/// Many times what a tour takes.
const LIMIT: Duration = Duration::from_secs(300);

struct Tour<'a> {
    options: &'a Options,
    file: &'a Path,
    root: &'a str,
    address: watch::Receiver<String>,
    gauge: &'a Gauge,
    screen: &'a Screen,
    bar: indicatif::ProgressBar,
    random: fastrand::Rng,
    account: Account,
    /// What the robot's outbox holds.
    holds: usize,
}

/// A robot.
struct Life {
    process: Process,
    opened: bool,
    /// When it is killed.
    end: Option<Instant>,
}

pub(super) async fn make(options: &Options, file: &Path) -> Result<Report, BoxError> {
    let pace = options.pace;
    let mut random = fastrand::Rng::with_seed(options.seed);
    let certificates = Certificates::generate()?;
    let house = House::build(&certificates, pace, &mut random).await?;
    let gauge = Gauge::default();
    let screen = Screen::start();
    screen.say(&format!(
        "seed {}; one message every {:?}",
        options.seed, pace.interval
    ));
    let enter = |room: Room| screen.say(&format!("{}: {}", room.name(), room.describe()));
    let walk = tour::walk(&house, pace, random.fork(), &gauge, enter);
    let mut tour = Tour {
        options,
        file,
        root: &certificates.root,
        address: house.address.subscribe(),
        gauge: &gauge,
        screen: &screen,
        bar: screen.line(),
        random,
        account: Account::default(),
        holds: 0,
    };
    let stops = timeout(LIMIT, tour.drive(walk, pace)).await;
    screen.clear();
    let stops = stops.map_err(|_| format!("the tour is not over after {LIMIT:?}"))??;
    let receipts = house.base.ledger().receipts();
    Ok(Report::new(&stops, &tour.account, &receipts))
}

impl Tour<'_> {
    async fn drive(
        &mut self,
        walk: impl Future<Output = Vec<Stop>>,
        pace: Pace,
    ) -> Result<Vec<Stop>, BoxError> {
        let mut walk = pin!(walk);
        let mut stops = None;
        // The tour begins when the first robot is there.
        let mut begun = false;
        let mut ending = false;
        let mut ticks = interval(pace.interval);
        let mut life = self.start()?;
        loop {
            tokio::select! {
                walked = &mut walk, if begun && stops.is_none() => {
                    stops = Some(walked);
                    life.end = None;
                }
                _ = ticks.tick(), if begun => {
                    if stops.is_none() {
                        self.account.add(self.gauge.sent.fetch_add(1, Relaxed));
                    }
                    if life.opened {
                        for number in self.account.give() {
                            life.process.tell(Order::Send(number));
                        }
                    }
                }
                said = life.process.hear() => match said {
                    Some(Said::Opened(left)) => {
                        if !begun && left > 0 {
                            // So that the file is free when this is told.
                            life.process.kill().await?;
                            let file = self.file.display();
                            return Err(format!("{file} holds {left} messages already, maybe of a tour \
                                that was broken off: name another file, or remove this one").into());
                        }
                        if !begun {
                            begun = true;
                            ticks.reset();
                        }
                        self.opened(&mut life, left, stops.is_none());
                    }
                    Some(Said::Done) => {
                        life.process.end().await?;
                        break;
                    }
                    Some(said) => self.note(&said),
                    None => {
                        let status = life.process.end().await?;
                        return Err(format!("the robot has ended by itself: {status}").into());
                    }
                },
                Ok(()) = self.address.changed() => if life.opened {
                    let address = self.address.borrow_and_update().clone();
                    life.process.tell(Order::Address(address));
                },
                () = sleep_until(life.end.unwrap_or_else(Instant::now)), if life.end.is_some() => {
                    life = self.kill(life).await?;
                }
            }
            if stops.is_some() && life.opened && !ending && self.account.is_settled() {
                ending = true;
                life.process.tell(Order::End);
            }
            self.show();
        }
        let mut stops = stops.ok_or("the robot has ended before the tour")?;
        if let Some(last) = stops.last_mut() {
            last.numbers.end = self.gauge.sent.load(Relaxed);
        }
        Ok(stops)
    }

    fn start(&mut self) -> Result<Life, BoxError> {
        // Some are killed while they start or open the file.
        let soon = self.options.kill && self.random.u8(..5) == 0;
        let time = self.options.pace.beat.mul_f64(0.5 * self.random.f64());
        Ok(Life {
            process: Process::start(self.options, self.file, self.root)?,
            opened: false,
            end: soon.then(|| Instant::now() + time),
        })
    }

    fn opened(&mut self, life: &mut Life, left: usize, kill: bool) {
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
    async fn kill(&mut self, life: Life) -> Result<Life, BoxError> {
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

    fn note(&mut self, said: &Said) {
        self.account.note(said);
        match said {
            Said::Failed(number, why) => {
                self.screen
                    .say(&format!("  message {number} failed: {why}"));
            }
            Said::Note(text) => self.screen.say(&format!("  {text}")),
            Said::Holds(len) => self.holds = *len,
            _ => {}
        }
    }

    fn show(&self) {
        let account = &self.account;
        self.bar.set_message(format!(
            "sent {:>5}  answered {:>5}  deferred {:>5}  unaccepted {:>3}  kills {:>3}  in the outbox {:>4}",
            self.gauge.sent.load(Relaxed),
            account.answered.len(),
            account.deferred.len(),
            account.unaccepted.len(),
            account.kills.len(),
            self.holds,
        ));
    }
}
