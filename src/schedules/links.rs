//! Callers of a peer that is away.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tower::Layer;
use tower_service::Service;

use super::callers::{Cancelled, Stalls};
use super::peer::{ATTEMPT_TIMEOUT, Message, Peers};
use super::world::World;
use super::{below, check};
use crate::{ConnRetry, Limits, Reason, RetryOnConnErr, WhenFull};

const SECOND: Duration = Duration::from_secs(1);

/// What the millisecond of a timer may make of a wait.
const TICKS: Duration = Duration::from_millis(20);

type Client = ConnRetry<Peers>;
type Call = <Client as Service<Message>>::Future;

fn layer() -> RetryOnConnErr {
    RetryOnConnErr::new()
        .never_give_up()
        .backoff(|| std::iter::repeat(SECOND))
}

fn call(client: &Client, to: usize, number: u64) -> Call {
    let mut client = client.clone();
    assert!(
        Service::<Message>::poll_ready(&mut client, &mut Context::from_waker(Waker::noop()))
            .is_ready()
    );
    client.call(Message { to, number })
}

/// A call that takes the link down.
fn break_link(client: &Client, to: usize) -> Call {
    let mut first = call(client, to, 0);
    let cx = &mut Context::from_waker(Waker::noop());
    while client.links().subscribe().borrow().down() == 0 {
        assert!(Pin::new(&mut first).poll(cx).is_pending());
    }
    first
}

/// Brings the link up again where all callers have left, and sees that nothing is left of them.
fn answers(world: &World, client: &Client) {
    let last = call(client, 0, 9);
    world.drive(async move { assert_eq!(last.await.expect("answered"), 9) });
    world.finish();
    nothing_is_left(client);
}

fn nothing_is_left(client: &Client) {
    let summary = client.links().subscribe().borrow().clone();
    assert_eq!((summary.down(), summary.waiting()), (0, 0));
    for link in client.links().status() {
        assert!(link.is_up());
        assert_eq!((link.waiting(), link.waiting_bytes()), (0, 0));
    }
}

/// Drives these calls, each of which may be dropped at any point of the outage. All others are
/// answered within this time.
fn drive_some(world: &World, calls: impl IntoIterator<Item = Call>, within: Duration) {
    let began = Instant::now();
    for (number, call) in calls.into_iter().enumerate() {
        let (call, cancel) = Cancelled::new(call);
        if below(2) == 0 {
            // At the time of a probe, too.
            let at = SECOND * below(3) as u32;
            world.drive(async move {
                sleep(at).await;
                cancel.now();
            });
        }
        world.drive(async move {
            if let Some(answer) = call.await {
                assert_eq!(answer.expect("answered"), number as u64);
                assert!(began.elapsed() <= within + TICKS, "{:?}", began.elapsed());
            }
        });
    }
}

/// All are answered in their order, and no time passes but the backoff.
#[test]
fn the_backlog_drains_in_order() {
    check(|world| {
        let probes = below(3);
        let peers = Peers::new([1 + probes]);
        let client = layer().layer(peers.clone());
        let began = Instant::now();
        let mut calls = vec![break_link(&client, 0)];
        calls.extend((1..5).map(|number| call(&client, 0, number)));
        for (number, call) in calls.into_iter().enumerate() {
            world.drive(async move { assert_eq!(call.await.expect("answered"), number as u64) });
        }
        // One who calls while the others are let go stays behind them.
        let late = client.clone();
        world.drive(async move {
            sleep(SECOND * (1 + probes as u32)).await;
            assert_eq!(call(&late, 0, 5).await.expect("answered"), 5);
        });
        world.finish();
        assert!(
            began.elapsed() <= SECOND * (1 + probes as u32) + TICKS,
            "{:?}",
            began.elapsed()
        );
        assert_eq!(peers.answered(0), [0, 1, 2, 3, 4, 5]);
        nothing_is_left(&client);
    });
}

/// Any caller may be dropped at any point, the probe's and who has the turn included.
#[test]
fn dropped_callers_hold_up_nobody() {
    check(|world| {
        let probes = below(2);
        let peers = Peers::new([1 + probes]);
        let client = layer().layer(peers.clone());
        let mut calls = vec![break_link(&client, 0)];
        calls.extend((1..5).map(|number| call(&client, 0, number)));
        if below(2) == 0 {
            let links = client.links();
            world.spawn(move || links.wake());
        }
        drive_some(world, calls, SECOND * (1 + probes as u32));
        world.finish();
        assert!(peers.answered(0).is_sorted(), "{:?}", peers.answered(0));
        // If all have left the link stays down.
        answers(world, &client);
    });
}

/// Those who wait for a place are woken when they have got one, or need none any more.
#[test]
fn a_free_place_is_taken() {
    check(|world| {
        let peers = Peers::new([2]);
        let limits = Limits::new().requests(2);
        let client = layer().limits(limits).when_full(WhenFull::Wait);
        let client = client.layer(peers);
        let mut calls = vec![break_link(&client, 0)];
        calls.extend((1..5).map(|number| call(&client, 0, number)));
        drive_some(world, calls, SECOND * 2);
        world.finish();
        answers(world, &client);
    });
}

/// Who has to make room hears of it at once.
#[test]
fn the_oldest_make_room() {
    check(|world| {
        let peers = Peers::new([1]);
        let limits = Limits::new().requests(2);
        let client = layer().limits(limits).when_full(WhenFull::DropOldest);
        let client = client.layer(peers);
        let first = break_link(&client, 0);
        let began = Instant::now();
        let mut calls = vec![first];
        calls.extend((1..4).map(|number| call(&client, 0, number)));
        let answered = Arc::<AtomicU64>::default();
        for call in calls {
            let answered = answered.clone();
            world.drive(async move {
                match call.await {
                    Ok(_) => _ = answered.fetch_add(1, Relaxed),
                    Err(error) => {
                        assert_eq!(error.reason(), Reason::QueueFull);
                        assert_eq!(began.elapsed(), Duration::ZERO, "at once");
                    }
                }
            });
        }
        let (late, count) = (client.clone(), answered.clone());
        world.drive(async move {
            call(&late, 0, 4).await.expect("never the oldest");
            count.fetch_add(1, Relaxed);
        });
        world.finish();
        assert!(began.elapsed() <= SECOND + TICKS, "{:?}", began.elapsed());
        assert!(answered.load(Relaxed) >= 2);
        nothing_is_left(&client);
    });
}

/// Callers who call at the same time, some of whom learn late that their peer is away, or back.
#[test]
fn calls_at_the_same_time_all_end() {
    check(|world| {
        let failures = [below(4), below(4)];
        let peers = Peers::new(failures);
        peers.expect_crowd();
        let client = layer().layer(peers);
        let began = Instant::now();
        for number in 0..5 {
            let client = client.clone();
            world.drive(async move {
                let to = number as usize % 2;
                assert_eq!(call(&client, to, number).await.expect("answered"), number);
            });
        }
        world.finish();
        let failed = failures.into_iter().max().unwrap_or_default();
        assert!(
            began.elapsed() <= SECOND * failed as u32 + TICKS,
            "{:?}",
            began.elapsed()
        );
        nothing_is_left(&client);
    });
}

/// Callers who are not polled any more, at any point of their calls, and are dropped much later.
#[test]
fn stalled_callers_hold_up_nobody() {
    check(|world| {
        let peers = Peers::new([2]);
        let client = layer().attempt_timeout(ATTEMPT_TIMEOUT).layer(peers);
        let began = Instant::now();
        let mut calls = vec![break_link(&client, 0)];
        calls.extend((1..6).map(|number| call(&client, 0, number)));
        let stalled = Arc::<Mutex<Vec<_>>>::default();
        for call in calls {
            let polls = if below(2) == 0 { below(4) } else { u64::MAX };
            let call = async move { _ = call.await.expect("answered") };
            let (call, stalled) = (Stalls::new(call, polls), stalled.clone());
            world.drive(async move {
                let rest = call.await;
                stalled.lock().unwrap().extend(rest);
            });
        }
        world.finish();
        assert!(began.elapsed() <= SECOND * 60, "{:?}", began.elapsed());
        let stalled = std::mem::take(&mut *stalled.lock().unwrap());
        drop(stalled);
        answers(world, &client);
    });
}
