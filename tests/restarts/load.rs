//! The load: calls at a steady rate, while the server is restarted.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tower_conn_retry::{ExponentialBackoff, Limits, LinksSummary, RetryOnConnErr};

use super::caller::{Caller, Outcome};
use super::calls::{Call, Kind};
use super::ledger::Ledger;

/// In all.
pub(crate) const REQUESTS: usize = 3_000;
/// The server is restarted this often meanwhile.
pub(crate) const RESTARTS: usize = 20;
/// From one restart to the next.
const CYCLE: usize = REQUESTS / RESTARTS;
/// So many of them come while the server is away.
const AWAY: usize = 20;
/// So many come before that, while the server holds one kind: so each kind is among them.
const HELD: usize = 20;
/// Else no more are in flight: on a slow machine a pool would open connections faster than they can
/// shake hands, and a restart would meet only those.
const IN_FLIGHT: usize = 64;
/// If none of those that it holds has come to the server for so long, it gets another one.
const AGAIN: Duration = Duration::from_millis(100);
/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(20);

/// What is restarted.
pub(crate) trait Server {
    /// Whether this has cut all connections.
    async fn stop(&mut self) -> bool;

    async fn start(&mut self);
}

/// How much of the machine a load needs.
#[derive(Clone, Copy)]
pub(crate) enum Share {
    Half = 1,
    /// While the server is away, nobody else may be given its port.
    All = 2,
}

/// Until there is so much of it.
pub(crate) async fn turn(share: Share) -> SemaphorePermit<'static> {
    static MACHINE: Semaphore = Semaphore::const_new(Share::All as usize);
    MACHINE.acquire_many(share as u32).await.unwrap()
}

/// As users have it, but quick to probe.
pub(crate) fn layer() -> RetryOnConnErr {
    let backoff = ExponentialBackoff::new().cap(Duration::from_millis(50));
    RetryOnConnErr::new().backoff(backoff)
}

/// The same, with room for less than what comes while the server is away.
pub(crate) fn small_layer() -> RetryOnConnErr {
    layer().limits(Limits::new().requests(AWAY / 4))
}

/// What has come of it.
pub(crate) struct Run {
    pub(crate) calls: Vec<(Call, Outcome)>,
    /// At least one call of each was done, and its connection was cut before it was answered.
    pub(crate) cut: Vec<&'static Kind>,
}

/// Makes the calls, 1,000 a second if the machine can, and restarts the server meanwhile.
pub(crate) async fn run(caller: &Caller, ledger: &Ledger, server: &mut impl Server) -> Run {
    let mut tick = interval(Duration::from_millis(1));
    // What is late is made up for: the rate is kept on average.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut links = caller.links.subscribe();
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
    let (mut calls, mut cut) = (Vec::new(), Vec::new());
    let kinds = caller.kinds.len();
    let mut more = (REQUESTS.next_multiple_of(kinds)..).step_by(kinds);
    let mut call = |n, permit| {
        let call = Call::new(caller.kinds, n);
        let answer = caller.send(&call);
        let answer = tokio::spawn(async move {
            let _in_flight = permit;
            answer.await
        });
        calls.push((call, answer));
    };
    for n in 0..REQUESTS {
        tick.tick().await;
        let at = n % CYCLE;
        let held = n / CYCLE % kinds;
        match at {
            _ if at == CYCLE - AWAY - HELD => {
                drained(&mut links).await;
                ledger.hold(&caller.kinds[held]);
            }
            _ if at == CYCLE - AWAY => {
                // What may not be sent twice is lost if the last restart is not over for a connection.
                let met = async {
                    while timeout(AGAIN, ledger.has_met()).await.is_err() {
                        call(more.next().unwrap() + held, None);
                    }
                };
                let met = timeout(LONG, met).await;
                met.unwrap_or_else(|_| panic!("the server gets no {}", caller.kinds[held].name));
                if server.stop().await {
                    cut.push(&caller.kinds[held]);
                }
                ledger.release();
            }
            _ if at == CYCLE - 1 => server.start().await,
            _ => {}
        }
        let permit = if at < CYCLE - AWAY - HELD {
            let permit = timeout(LONG, in_flight.clone().acquire_owned());
            Some(permit.await.expect("calls end").unwrap())
        } else {
            None
        };
        call(n, permit);
    }
    let mut run = Run {
        calls: Vec::new(),
        cut,
    };
    for (call, answer) in calls {
        let outcome = timeout(LONG, answer).await;
        let Ok(outcome) = outcome else {
            panic!("{} never ends: {:?}", call.id, caller.links.status());
        };
        run.calls.push((call, outcome.unwrap()));
    }
    run
}

/// Until the last restart is over for everybody: whoever is met by four in a row is taken for their
/// cause.
async fn drained(links: &mut watch::Receiver<LinksSummary>) {
    let drained = links.wait_for(|links| links.waiting() == 0 && links.down() == 0);
    let drained = timeout(LONG, drained).await;
    let _ = drained.expect("the backlog drains").unwrap();
}
