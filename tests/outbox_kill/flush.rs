//! A process that ends without a word when it has flushed or closed its outbox.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tower::{Layer, ServiceExt, service_fn};
use tower_conn_retry::outbox::{DiskStore, Raw, Store};
use tower_conn_retry::{Outbox, RetryOnConnErr};

const JOB: &str = "OUTBOX_KILL_FLUSH";

#[test]
#[ignore = "the other tests start it"]
fn the_process_that_flushes() {
    let Ok(job) = std::env::var(JOB) else {
        return;
    };
    let (closes, file) = job.split_once(' ').unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(defer_and_deliver(closes == "true", file));
    // As a kill would: nothing is dropped, and nothing more is written.
    std::process::abort();
}

async fn defer_and_deliver(closes: bool, file: &str) {
    let up = Arc::<AtomicBool>::default();
    let is_up = up.clone();
    let peer = service_fn(move |_: String| {
        let up = is_up.load(Ordering::Relaxed);
        async move {
            tokio::task::yield_now().await;
            match up {
                true => Ok(()),
                false => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
            }
        }
    });
    let outbox = Outbox::open(file, Raw).unwrap();
    let service = RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(Duration::from_millis(1)))
        .outbox(outbox.clone())
        .layer(peer);
    let calls = (0..150).map(|number| service.clone().oneshot(number.to_string()));
    for call in futures_util::future::join_all(calls).await {
        assert!(call.unwrap_err().is_deferred());
    }
    up.store(true, Ordering::Relaxed);
    if closes {
        assert!(outbox.close(Duration::from_secs(30)).await.is_empty());
    } else {
        outbox.flush().await;
    }
}

/// How many messages are in the file after that.
fn left(closes: bool, file: &Path) -> usize {
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "outbox_kill::flush::the_process_that_flushes"])
        .args(["--ignored", "--test-threads=1"])
        .env(JOB, format!("{closes} {}", file.display()))
        .output()
        .unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status.status);
    assert_eq!(signal, Some(6), "{status:?}");
    let mut store = DiskStore::<String, Raw>::open(file, Raw).unwrap();
    let destinations = store.contents().unwrap().destinations;
    destinations.iter().map(|of| of.1).sum()
}

#[test]
fn nothing_that_was_flushed_is_left_in_the_file() {
    let name = format!("outbox-kill-flush-{}", std::process::id());
    let file = std::env::temp_dir().join(name);
    for round in 0..20 {
        assert_eq!(left(round % 4 == 3, &file), 0, "round {round}");
    }
    std::fs::remove_file(file).unwrap();
}
