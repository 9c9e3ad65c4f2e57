//! The tour: what is sent, and when all is over.

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep_until, timeout};
use tower_conn_retry::BoxError;

use super::account::Account;
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

pub(super) struct Tour<'a> {
    pub(super) options: &'a Options,
    pub(super) file: &'a Path,
    pub(super) root: &'a str,
    pub(super) address: watch::Receiver<String>,
    pub(super) gauge: &'a Gauge,
    pub(super) screen: &'a Screen,
    bar: indicatif::ProgressBar,
    pub(super) random: fastrand::Rng,
    pub(super) account: Account,
    /// What the robot's outbox holds.
    holds: usize,
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

    pub(super) fn note(&mut self, said: &Said) {
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
