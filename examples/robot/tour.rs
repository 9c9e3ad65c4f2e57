//! One tour: a base of its own, the rooms in their order, and a robot that sends meanwhile.

use std::future::Future;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};
use tower::{Service, ServiceExt as _};
use tower_conn_retry::BoxError;

use crate::board::{Board, Gauge};
use crate::client::{self, Kind};
use crate::options::{Options, Pace};
use crate::rooms::{House, Room};
use crate::table::{Report, Stop};
use crate::tls::Certificates;

/// Makes the tour with this kind of client.
pub(crate) async fn make(
    kind: Kind,
    options: &Options,
    certificates: &Certificates,
    board: &Board,
) -> Result<Report, BoxError> {
    let pace = options.pace;
    // The same for all three, so that they have the same tour.
    let mut random = fastrand::Rng::with_seed(options.seed);
    let house = House::build(certificates, pace, &mut random).await?;
    let connection = client::connection(house.address.subscribe(), &certificates.client, pace);
    let gauge = board.gauge(kind);
    let enter = |room| board.enter(kind, room);
    let walk = walk(&house, pace, random.fork(), &gauge, enter);

    let stops = match kind {
        Kind::Bare => drive(connection, walk, &gauge, pace, random).await,
        Kind::TowerRetry => {
            let service = client::with_tower_retry(connection, pace)?;
            drive(service, walk, &gauge, pace, random).await
        }
        Kind::ConnRetry => {
            let service = client::with_this_crate(connection, pace, gauge.clone());
            drive(service, walk, &gauge, pace, random).await
        }
    };
    let receipts = house.base.ledger().receipts();
    Ok(Report::new(kind, &stops, &receipts))
}

/// Passes all rooms, with calm before and after each break.
pub(crate) async fn walk(
    house: &House,
    pace: Pace,
    mut random: fastrand::Rng,
    gauge: &Gauge,
    enter: impl Fn(Room),
) -> Vec<Stop> {
    let mut stops = Vec::new();
    for room in Room::ALL {
        enter(room);
        let first = gauge.sent.load(Relaxed);
        let probes = gauge.probes.load(Relaxed);
        sleep(pace.beat.mul_f64(0.8 + 0.7 * random.f64())).await;
        let outage = pace.beat.mul_f64(2.5 + random.f64());
        room.pass(house, outage).await;
        let healed = Instant::now();
        sleep(pace.beat.mul_f64(1.5)).await;
        stops.push(Stop {
            room,
            numbers: Range {
                start: first,
                end: gauge.sent.load(Relaxed),
            },
            healed,
            probes: gauge.probes.load(Relaxed) - probes,
        });
    }
    stops
}

/// Sends numbered messages at a steady rate until the walk is over, and waits for their answers.
async fn drive<S>(
    mut service: S,
    walk: impl Future<Output = Vec<Stop>>,
    gauge: &Arc<Gauge>,
    pace: Pace,
    mut random: fastrand::Rng,
) -> Vec<Stop>
where
    S: Service<Bytes, Response = BytesMut, Future: Send + 'static>,
    S::Error: Into<BoxError> + Send + 'static,
{
    let mut walk = pin!(walk);
    let mut ticks = interval(pace.interval);
    let mut calls = JoinSet::new();
    let mut stops = loop {
        tokio::select! {
            biased;
            stops = &mut walk => break stops,
            _ = ticks.tick() => {}
        }
        let number = gauge.sent.fetch_add(1, Relaxed);
        let message = message(number, &mut random);
        // Each message is a call of its own, which nobody waits for before the next is sent.
        let call = match service.ready().await {
            Ok(service) => service.call(message),
            Err(error) => {
                gauge.fail(number, error.into());
                continue;
            }
        };
        let gauge = gauge.clone();
        calls.spawn(async move {
            match call.await {
                Ok(answer) if answer[..] == number.to_be_bytes() => {
                    gauge.answered.fetch_add(1, Relaxed);
                }
                Ok(_) => gauge.fail(number, "the answer is another one's".into()),
                Err(error) => gauge.fail(number, error.into()),
            }
        });
    };
    if let Some(last) = stops.last_mut() {
        last.numbers.end = gauge.sent.load(Relaxed);
    }
    // All is well by now, so everything that is still held goes out soon.
    let rest = async { while calls.join_next().await.is_some() {} };
    let _ = timeout(pace.beat * 10, rest).await;
    stops
}

/// The number, and something more.
pub(crate) fn message(number: u64, random: &mut fastrand::Rng) -> Bytes {
    let padding = random.usize(..500);
    let mut message = BytesMut::with_capacity(8 + padding);
    message.put_u64(number);
    message.put_bytes(b'.', padding);
    message.freeze()
}
