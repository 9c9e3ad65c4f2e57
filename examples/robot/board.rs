//! What a person sees meanwhile: a line for each client on a terminal, or else a line for each event.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::interval;
use tower_conn_retry::{BoxError, ConnError, Destination, Links, Observer};

use crate::client::Kind;
use crate::options::Options;
use crate::rooms::Room;
use crate::screen::{Screen, in_full};

/// The numbers of one client, as it sees them.
#[derive(Default)]
pub(crate) struct Gauge {
    pub(crate) sent: AtomicU64,
    pub(crate) answered: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) probes: AtomicU64,
    links: OnceLock<Links>,
    screen: OnceLock<Screen>,
}

pub(crate) struct Board {
    screen: Screen,
    room: ProgressBar,
    gauges: [Arc<Gauge>; 3],
    drawing: tokio::task::JoinHandle<()>,
}

impl Board {
    pub(crate) fn start(options: &Options) -> Self {
        let screen = Screen::start();
        let room = screen.line();
        let lines = Kind::ALL.map(|kind| (kind, screen.line()));
        let gauges = Kind::ALL.map(|_| Arc::<Gauge>::default());
        for gauge in &gauges {
            let _ = gauge.screen.set(screen.clone());
        }
        screen.say(&format!(
            "seed {}; one message every {:?} from each client",
            options.seed, options.pace.interval
        ));
        let drawn = gauges.clone();
        let drawing = tokio::spawn(async move {
            let mut ticks = interval(Duration::from_millis(100));
            loop {
                ticks.tick().await;
                for ((kind, line), gauge) in lines.iter().zip(&drawn) {
                    line.set_message(format!("{:<17} {}", kind.name(), gauge.describe()));
                }
            }
        });
        Self {
            screen,
            room,
            gauges,
            drawing,
        }
    }

    pub(crate) fn gauge(&self, kind: Kind) -> Arc<Gauge> {
        self.gauges[kind as usize].clone()
    }

    /// This client's tour has come to this room. The three are in step.
    pub(crate) fn enter(&self, kind: Kind, room: Room) {
        if kind == Kind::ConnRetry {
            let text = format!("{}: {}", room.name(), room.describe());
            self.room.set_message(text.clone());
            self.screen.say(&text);
        }
    }

    pub(crate) fn finish(&self) {
        self.drawing.abort();
        self.screen.clear();
    }
}

impl Gauge {
    /// From now on the state of these links is shown too.
    pub(crate) fn watch(&self, links: Links) {
        let _ = self.links.set(links);
    }

    /// A message failed. That is told only where it should not happen.
    pub(crate) fn fail(&self, number: u64, error: BoxError) {
        self.failed.fetch_add(1, Relaxed);
        if self.links.get().is_some() {
            self.say(&format!("  message {number} failed: {}", in_full(&*error)));
        }
    }

    fn say(&self, text: &str) {
        if let Some(screen) = self.screen.get() {
            screen.say(text);
        }
    }

    fn describe(&self) -> String {
        let numbers = format!(
            "sent {:>5}  answered {:>5}  failed {:>4}",
            self.sent.load(Relaxed),
            self.answered.load(Relaxed),
            self.failed.load(Relaxed),
        );
        let Some(links) = self.links.get() else {
            return numbers;
        };
        let waiting = links.subscribe().borrow().waiting();
        let down = links.status().into_iter().find(|link| !link.is_up());
        let link = match down {
            Some(link) => format!("DOWN for {:.1} s", link.since().as_secs_f64()),
            None => "up".to_owned(),
        };
        let probes = self.probes.load(Relaxed);
        format!("{numbers}  waiting {waiting:>4}  probes {probes:>3}  link {link}")
    }
}

/// Is told by the layer what happens.
pub(crate) struct Watcher(Arc<Gauge>);

impl Watcher {
    pub(crate) fn new(gauge: Arc<Gauge>) -> Self {
        Self(gauge)
    }
}

impl Observer for Watcher {
    fn probe(&self, _: &Destination) {
        self.0.probes.fetch_add(1, Relaxed);
    }

    fn link_down(&self, _: &Destination, error: ConnError) {
        self.0.say(&format!("  link down: {}", error.kind()));
    }

    fn link_up(&self, _: &Destination, outage: Duration) {
        let outage = outage.as_secs_f64();
        self.0.say(&format!("  link up after {outage:.3} s"));
    }
}
