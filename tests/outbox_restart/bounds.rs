//! The limits and the age, over restarts.

use std::time::Duration;

use tower::Layer;
use tower_conn_retry::outbox::{Changes, DiskStore, Message as Stored, Store};
use tower_conn_retry::{Destination, Limits, Outbox, Outcome, Reason, Ticket, WhenFull};

use super::life::{Directory, Numbers, life, open, with};
use crate::peer::*;

const HOUR: Duration = Duration::from_secs(3_600);

#[test]
fn reject_counts_what_former_lives_left() {
    let directory = Directory::new();
    let file = directory.file();
    let builder = || Outbox::builder().limits(Limits::new().requests(3));
    for round in 0..2 {
        let peer = Peer::that(REFUSED);
        life(async {
            let outbox = open(&file, builder);
            let service = with(&peer, &outbox);
            for number in 0..4 {
                let error = call(&service, message(number)).await.unwrap_err();
                let reason = match number {
                    ..3 if round == 0 => Reason::Deferred,
                    _ => Reason::QueueFull,
                };
                assert_eq!(error.reason(), reason);
            }
            assert_eq!(outbox.len(), 3);
        });
    }
}

#[test]
fn a_call_waits_for_room_in_the_file() {
    let directory = Directory::new();
    let file = directory.file();
    let builder = || {
        let limits = Limits::new().requests(3);
        Outbox::builder().limits(limits).when_full(WhenFull::Wait)
    };
    let peer = Peer::that(REFUSED);
    life(async {
        let outbox = open(&file, builder);
        let service = with(&peer, &outbox);
        for number in 0..3 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred());
        }
    });
    life(async {
        let outbox = open(&file, builder);
        let service = with(&peer, &outbox);
        let waits = send(&service, message(3));
        let other = send(&service, message(4));
        settle().await;
        assert!(!waits.is_finished() && !other.is_finished());
        peer.forget_attempts();
        peer.now_does(Does::Answer);
        for call in [waits, other] {
            assert!(call.await.unwrap().unwrap_err().is_deferred());
        }
        outbox.flush().await;
    });
    assert_eq!(
        peer.attempts()[peer.attempts().len() - 5..],
        [0, 1, 2, 3, 4]
    );
}

#[test]
fn the_oldest_is_dropped_from_the_file() {
    let directory = Directory::new();
    let file = directory.file();
    let builder = || {
        let limits = Limits::new().requests(3);
        Outbox::builder()
            .limits(limits)
            .when_full(WhenFull::DropOldest)
    };
    let peer = Peer::that(REFUSED);
    life(async {
        let outbox = open(&file, builder);
        let service = with(&peer, &outbox);
        for number in 0..3 {
            call(&service, message(number)).await.unwrap_err();
        }
    });
    life(async {
        let outbox = open(&file, builder);
        // No probe is in flight meanwhile: that one would not be dropped.
        let layer = steady().backoff(|| std::iter::repeat(HOUR));
        let service = layer.outbox(outbox.clone()).layer(peer.client());
        let mut links = service.links().subscribe();
        links.wait_for(|links| links.down() == 1).await.unwrap();
        let mut receipts = outbox.receipts();
        let mut dropped = Vec::new();
        for number in 3..6 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred());
            let receipt = receipts.recv().await.unwrap();
            assert_eq!(receipt.outcome(), Outcome::Dropped);
            let dead = outbox.dead_letters();
            assert_eq!(dead.len(), 1);
            assert_eq!(dead[0].ticket(), receipt.ticket());
            dropped.push(dead[0].request().number);
            assert_eq!(outbox.len(), 3);
        }
        assert_eq!(dropped.len(), 3);
        assert!(dropped.is_sorted(), "{dropped:?}");
    });
    let peer = Peer::that(Does::Answer);
    life(async {
        let outbox = open(&file, builder);
        assert_eq!(outbox.len(), 3);
        let _service = with(&peer, &outbox);
        outbox.flush().await;
    });
    assert_eq!(peer.attempts().len(), 3);
}

/// The clock of an outbox tells for how long it was open. Here it is what a test says.
#[test]
fn age_is_the_time_that_the_outbox_was_open() {
    let directory = Directory::new();
    let file = directory.file();
    let stored = |number, since| Stored {
        ticket: Ticket::new(number),
        destination: Destination::default(),
        request: message(number),
        size: 100,
        since,
        attempts: 1,
        maybe_sent: false,
        max_age: None,
    };
    let mut store = DiskStore::open(&file, Numbers).unwrap();
    let changes = Changes {
        put: vec![stored(1, HOUR), stored(2, 3 * HOUR), stored(3, 9 * HOUR)],
        remove: Vec::new(),
        clock: 10 * HOUR,
    };
    store.commit(changes).unwrap();
    drop(store);
    // The file may be as old as it likes, or from the future.
    for date in ["1971-01-01", "2099-01-01"] {
        let touched = std::process::Command::new("touch")
            .args(["-d", date])
            .arg(&file)
            .status();
        assert!(touched.unwrap().success());
        let peer = Peer::that(REFUSED);
        life(async {
            let outbox = open(&file, || Outbox::builder().max_age(100 * HOUR));
            let _service = with(&peer, &outbox);
            while peer.attempts().len() < 3 {
                pass(MS).await;
            }
            assert_eq!(outbox.len(), 3);
        });
    }
    let peer = Peer::that(Does::Answer);
    life(async {
        let outbox = open(&file, || Outbox::builder().max_age(5 * HOUR));
        let _service = with(&peer, &outbox);
        outbox.flush().await;
        let dead = outbox.dead_letters();
        let dead: Vec<_> = dead
            .iter()
            .map(|letter| (letter.request().number, letter.outcome()))
            .collect();
        assert_eq!(dead, [(1, Outcome::Expired), (2, Outcome::Expired)]);
    });
    assert_eq!(peer.attempts(), [3]);
}

/// Only so can no change of the date make a message old.
#[test]
fn no_date_is_read() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/outbox");
    let mut folders = vec![source];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            for date in ["SystemTime", "UNIX_EPOCH", "modified()", "created()"] {
                assert!(!text.contains(date), "{date} in {}", path.display());
            }
        }
    }
    assert!(files > 20);
}
