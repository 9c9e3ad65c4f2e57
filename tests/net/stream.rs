//! A numbered stream of requests, a thousand in a second, through the whole stack.

use std::collections::HashMap;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tower::{Service, ServiceBuilder, ServiceExt};
use tower_conn_retry::tcp::{Connector, Tls};
use tower_conn_retry::{ExponentialBackoff, Reconnect, RetryOnConnErr, Sent};

use crate::host::Host;
use crate::lan::SERVICE;
use crate::server::{Ledger, Numbers};
use crate::table::Row;
use crate::witness::{PATIENCE, Sign, Witness};

/// The longest step of the backoff.
pub(crate) const STEP: Duration = Duration::from_millis(250);
/// How long an attempt to connect may take.
pub(crate) const CONNECT: Duration = Duration::from_millis(250);
/// What a machine with a lot to do may take beyond it.
const MARGIN: Duration = Duration::from_millis(200);
/// Requests in a second that there are to be, and some that a busy machine may owe.
const RATE: u64 = 1_000;
const OWED: u64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// In strict order, all tasks in one thread.
    InOrder,
    /// With the layer's defaults, the tasks in several threads.
    OnThreads,
}

/// How the client is set.
pub(crate) struct Plan {
    pub(crate) mode: Mode,
    pub(crate) address: String,
    /// After how long a peer that acknowledges nothing is taken for dead.
    pub(crate) user_timeout: Duration,
    pub(crate) tls: Option<Tls>,
}

impl Plan {
    pub(crate) fn new(mode: Mode) -> Self {
        Self {
            mode,
            address: SERVICE.to_string(),
            user_timeout: Duration::from_millis(800),
            tls: None,
        }
    }
}

pub(crate) struct Stream {
    mode: Mode,
    witness: Witness,
    thread: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    begun: Instant,
    fault: Option<Instant>,
    changed: Option<Instant>,
    healed: Option<Instant>,
    allowance: Duration,
}

impl Stream {
    /// Returns when it flows.
    pub(crate) fn start(client: &Host, plan: Plan) -> Self {
        let witness = Witness::default();
        let (stop, stopped) = oneshot::channel();
        let mode = plan.mode;
        let noted = witness.clone();
        let threads = match mode {
            Mode::InOrder => 1,
            Mode::OnThreads => 2,
        };
        let thread = client.spawn_on(threads, move || send(plan, noted, stopped));
        let stream = Self {
            mode,
            witness,
            thread,
            stop,
            begun: Instant::now(),
            fault: None,
            changed: None,
            healed: None,
            allowance: STEP + MARGIN,
        };
        stream.flows();
        stream
    }

    /// The fault begins.
    pub(crate) fn fault(&mut self, make: impl FnOnce()) {
        self.fault = Some(Instant::now());
        make();
    }

    /// The fault goes on in another way.
    pub(crate) fn change(&mut self, make: impl FnOnce()) {
        self.changed = Some(Instant::now());
        make();
    }

    /// The fault ends.
    pub(crate) fn heal(&mut self, make: impl FnOnce()) {
        self.healed = Some(Instant::now());
        make();
    }

    /// A probe may be on its way into nowhere when the fault ends, and takes its time.
    pub(crate) fn heal_with_a_probe_under_way(&mut self, make: impl FnOnce()) {
        self.allowance += CONNECT;
        self.heal(make);
    }

    /// Waits until so many attempts have failed in one of these ways since the fault began, or changed.
    pub(crate) fn await_failed(&self, count: usize, signs: &[Sign]) {
        let since = self.changed.or(self.fault).unwrap();
        let what = format!("the client sees {signs:?} {count} times");
        self.witness.wait_until(&what, |notes| {
            let attempts = notes.attempts.iter().filter(|a| a.at >= since);
            attempts.filter(|a| signs.contains(&a.sign)).count() >= count
        });
    }

    /// Waits until two hundred more requests were made and answered.
    pub(crate) fn flows(&self) {
        let called = self.witness.look(|notes| notes.called);
        self.witness.wait_until("the stream flows", |notes| {
            notes.answers.iter().filter(|(n, _)| *n > called).count() >= 200
        });
    }

    /// Ends the stream, and checks it against what the server has read: nothing is lost, nothing was
    /// read twice that was not perhaps sent twice, all in order, and it flowed again soon after the
    /// fault had ended. Other signs than these must not have been seen.
    pub(crate) fn finish(self, ledger: &Ledger, name: &'static str, signs: &[Sign]) -> Row {
        self.flows();
        let due = u64::try_from(self.begun.elapsed().as_millis()).unwrap() * RATE / 1_000;
        let called = self.witness.look(|notes| notes.called);
        assert!(called + OWED >= due, "{called} of {due} requests");
        let _ = self.stop.send(());
        self.thread.join().unwrap();
        let read = ledger.read();
        self.witness.look(|notes| {
            assert_eq!(notes.failed, [], "failed for good");
            let mut times: HashMap<u64, u64> = HashMap::new();
            let mut out_of_order = 0;
            let mut highest = 0;
            for number in &read {
                let times = times.entry(*number).or_default();
                *times += 1;
                if *times == 1 {
                    out_of_order += u64::from(*number < highest);
                    highest = highest.max(*number);
                }
            }
            let mut maybe: HashMap<u64, u64> = HashMap::new();
            let mut seen: Vec<Sign> = Vec::new();
            for attempt in &notes.attempts {
                let wrong = !signs.contains(&attempt.sign);
                assert!(!wrong, "another fault: {:?} {}", attempt.sign, attempt.text);
                if !seen.contains(&attempt.sign) {
                    seen.push(attempt.sign);
                }
                if attempt.verdict.sent() == Sent::Maybe {
                    *maybe.entry(attempt.number).or_default() += 1;
                }
            }
            for number in 1..=notes.called {
                let read = times.get(&number).copied().unwrap_or(0);
                assert!(read > 0, "{number} is lost");
                let maybe = maybe.get(&number).copied().unwrap_or(0);
                assert!(
                    read <= maybe + 1,
                    "{number} was read {read} times, perhaps sent {maybe} times"
                );
            }
            if self.mode == Mode::InOrder {
                assert_eq!(out_of_order, 0, "out of order");
            }
            let fault = self.fault.unwrap();
            let since = notes.attempts.iter().filter(|a| a.at >= fault);
            let noticed = since.map(|a| a.at).min().expect("the fault was noticed");
            // A connection that is dead, but not known to be, is the fault too.
            let ended = self.healed.unwrap().max(noticed);
            let answers = notes.answers.iter().map(|(_, at)| *at);
            let flowed = answers.filter(|at| *at > ended).min().unwrap();
            let row = Row {
                name,
                mode: self.mode,
                messages: notes.called,
                doubled: times.values().filter(|times| **times > 1).count(),
                out_of_order,
                noticed: noticed - fault,
                outage: ended - fault,
                recovery: flowed - ended,
                limit: self.allowance,
                signs: seen,
            };
            assert!(row.recovery <= row.limit, "slow to recover: {row:?}");
            row
        })
    }
}

/// Sends until it is told to stop, then waits for all answers.
async fn send(plan: Plan, witness: Witness, mut stopped: oneshot::Receiver<()>) {
    let mut connector = Connector::new(&plan.address, || Numbers)
        .connect_timeout(CONNECT)
        .user_timeout(plan.user_timeout);
    if let Some(tls) = plan.tls {
        connector = connector.tls(tls);
    }
    let backoff = ExponentialBackoff::new()
        .initial(Duration::from_millis(50))
        .cap(STEP);
    let mut layer = RetryOnConnErr::new()
        .never_give_up()
        .backoff(backoff)
        .observer(witness.clone())
        .policy(witness.clone());
    if plan.mode == Mode::InOrder {
        layer = layer.in_order();
    }
    let mut service = ServiceBuilder::new()
        .layer(layer)
        .service(Reconnect::new(connector));

    let mut ticks = interval(Duration::from_millis(1));
    // A tick that comes late is made up for.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut calls = JoinSet::new();
    for number in 1.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = &mut stopped => break,
        }
        let call = service.ready().await.unwrap().call(number);
        witness.note(|notes| notes.called = number);
        let witness = witness.clone();
        calls.spawn(async move {
            match call.await {
                Ok(answer) => {
                    assert_eq!(answer, number, "another one's answer");
                    witness.note(|notes| notes.answers.push((number, Instant::now())));
                }
                Err(error) => {
                    witness.note(|notes| notes.failed.push((number, format!("{error:?}"))));
                }
            }
        });
        while let Some(ended) = calls.try_join_next() {
            ended.unwrap();
        }
    }
    let all = timeout(PATIENCE, calls.join_all()).await;
    assert!(all.is_ok(), "hangs: {}", witness.look(|n| n.summary()));
}
