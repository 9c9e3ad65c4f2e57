//! Many callers on several threads through a service that comes and goes: nothing is lost, nothing
//! is delivered out of order.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tower::{Layer, ServiceExt, service_fn};
use tower_conn_retry::{ExponentialBackoff, Limits, Outbox, RetryOnConnErr};

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
