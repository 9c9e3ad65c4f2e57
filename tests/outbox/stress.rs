//! Many callers on several threads through a service that comes and goes: nothing is lost, nothing
//! is delivered out of order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::{ExponentialBackoff, Limits, Outbox, RetryOnConnErr, WhenFull};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_is_lost_and_order_is_kept() {
    let calls = Arc::new(AtomicU64::new(0));
    let got = Arc::new(Mutex::new(Vec::new()));
    let peer = {
        let (calls, got) = (calls.clone(), got.clone());
        service_fn(move |message: String| {
            let n = calls.fetch_add(1, Ordering::Relaxed);
            let answers = n % 50 >= 20;
            if answers {
                got.lock().unwrap().push(message);
            }
            async move {
                tokio::task::yield_now().await;
                match answers {
                    true => Ok(()),
                    false => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
                }
            }
        })
    };
    let outbox = Outbox::builder()
        .limits(Limits::new().requests(100_000))
        .in_memory();
    let backoff = ExponentialBackoff::new()
        .initial(Duration::from_millis(10))
        .cap(Duration::from_millis(10));
    let service = RetryOnConnErr::new()
        .backoff(backoff)
        .outbox(outbox.clone())
        .layer(peer);
    let callers: Vec<_> = (0..8)
        .map(|caller| {
            let service = service.clone();
            tokio::spawn(async move {
                for number in 0..100 {
                    let sent = service.clone().oneshot(format!("{caller} {number}")).await;
                    assert!(sent.is_ok() || sent.is_err_and(|error| error.is_deferred()));
                }
            })
        })
        .collect();
    let all = async {
        for caller in callers {
            caller.await.unwrap();
        }
        outbox.flush().await;
    };
    tokio::time::timeout(Duration::from_secs(60), all)
        .await
        .expect("no hang");
    let got = got.lock().unwrap();
    for caller in 0..8 {
        let prefix = format!("{caller} ");
        let numbers: Vec<u64> = got
            .iter()
            .filter_map(|text| text.strip_prefix(&prefix)?.parse().ok())
            .collect();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }
    assert!(outbox.dead_letters().is_empty());
}

/// One in so many, by a generator that is always the same.
struct Chance(u64);

impl Chance {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n == 0
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn those_who_wait_for_room_all_get_it() {
    const CALLERS: usize = 8;
    const CALLS: usize = 60;
    let calls = AtomicU64::new(0);
    let got = Arc::new(Mutex::new(vec![[0_u32; CALLS]; CALLERS]));
    let peer = {
        let (calls, got) = (Arc::new(calls), got.clone());
        service_fn(move |message: String| {
            let answers = calls.fetch_add(1, Ordering::Relaxed) % 40 >= 20;
            if answers {
                let (caller, number) = message.split_once(' ').unwrap();
                let (caller, number): (usize, usize) =
                    (caller.parse().unwrap(), number.parse().unwrap());
                got.lock().unwrap()[caller][number] += 1;
            }
            async move {
                tokio::task::yield_now().await;
                match answers {
                    true => Ok(()),
                    false => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
                }
            }
        })
    };
    let outbox = Outbox::builder()
        .limits(Limits::new().requests(3))
        .when_full(WhenFull::Wait)
        .in_memory();
    let service = RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(Duration::from_millis(1)))
        .outbox(outbox.clone())
        .layer(peer);
    let callers = (0..CALLERS).map(|caller| {
        let (service, outbox) = (service.clone(), outbox.clone());
        tokio::spawn(async move {
            let mut chance = Chance(caller as u64 + 1);
            for number in 0..CALLS {
                let mut service = service.clone();
                service.ready().await.unwrap();
                let mut call = Box::pin(service.call(format!("{caller} {number}")));
                if chance.one_in(4) {
                    let _ = futures_util::poll!(&mut call);
                    // Some time later, perhaps when it has been let in.
                    tokio::task::yield_now().await;
                    drop(call);
                } else {
                    let sent = call.await;
                    assert!(sent.is_ok() || sent.is_err_and(|error| error.is_deferred()));
                }
                assert!(outbox.len() <= 3);
            }
        })
    });
    let callers: Vec<_> = callers.collect();
    let all = async {
        for caller in callers {
            caller.await.unwrap();
        }
        outbox.flush().await;
    };
    tokio::time::timeout(Duration::from_secs(120), all)
        .await
        .expect("no hang");
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
    let got = got.lock().unwrap();
    for (caller, got) in got.iter().enumerate() {
        let mut chance = Chance(caller as u64 + 1);
        for (number, times) in got.iter().enumerate() {
            let dropped = chance.one_in(4);
            assert!(dropped || *times == 1, "{caller} {number}: {times} times");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_who_go_away_take_nothing_with_them() {
    const CALLERS: usize = 8;
    const CALLS: usize = 400;
    let calls = Arc::new(AtomicU64::new(0));
    let got = Arc::new(Mutex::new(vec![[0_u32; CALLS]; CALLERS]));
    let peer = {
        let got = got.clone();
        service_fn(move |message: String| {
            let answers = calls.fetch_add(1, Ordering::Relaxed) % 40 >= 10;
            if answers {
                let (caller, number) = message.split_once(' ').unwrap();
                let (caller, number): (usize, usize) =
                    (caller.parse().unwrap(), number.parse().unwrap());
                got.lock().unwrap()[caller][number] += 1;
            }
            async move {
                tokio::task::yield_now().await;
                match answers {
                    true => Ok(()),
                    false => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
                }
            }
        })
    };
    let outbox = Outbox::builder()
        .limits(Limits::new().requests(100_000))
        .survive_cancel(true)
        .in_memory();
    let service = RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(Duration::from_millis(1)))
        .outbox(outbox.clone())
        .layer(peer);
    let callers: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let service = service.clone();
            tokio::spawn(async move {
                let mut chance = Chance(caller as u64 + 1);
                let mut gone = vec![false; CALLS];
                for (number, gone) in gone.iter_mut().enumerate() {
                    let mut service = service.clone();
                    service.ready().await.unwrap();
                    let mut call = Box::pin(service.call(format!("{caller} {number}")));
                    if chance.one_in(4) {
                        // Polled once or never.
                        if chance.one_in(2) {
                            let _ = futures_util::poll!(&mut call);
                        }
                        *gone = true;
                        continue;
                    }
                    let sent = call.await;
                    assert!(sent.is_ok() || sent.is_err_and(|error| error.is_deferred()));
                }
                gone
            })
        })
        .collect();
    let all = async {
        let mut gone = Vec::new();
        for caller in callers {
            gone.push(caller.await.unwrap());
        }
        outbox.flush().await;
        gone
    };
    let gone = tokio::time::timeout(Duration::from_secs(120), all)
        .await
        .expect("no hang");
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
    assert!(outbox.dead_letters().is_empty());
    let left = tokio::time::timeout(Duration::from_secs(20), outbox.close(Duration::ZERO)).await;
    assert!(left.expect("all workers have ended").is_empty());
    let got = got.lock().unwrap();
    for (caller, gone) in gone.iter().enumerate() {
        for (number, gone) in gone.iter().enumerate() {
            let times = got[caller][number];
            // One whose caller left while the attempt was in flight may go twice.
            assert!(
                times == 1 || *gone && times == 2,
                "{caller} {number} arrived {times} times, its caller was gone: {gone}"
            );
        }
    }
}
