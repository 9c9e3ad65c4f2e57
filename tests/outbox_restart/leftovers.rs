//! What a process leaves is delivered by the next one.

use std::error::Error;
use std::sync::{Arc, Mutex};

use tower::Layer;
use tower_conn_retry::{ConnErrorPolicy, Outbox, Outcome, Outlook, Ticket, classify, policy_fn};

use super::life::{Directory, firsts, life, open, quick, spread, with};
use crate::peer::*;

fn deferred(error: &tower_conn_retry::Error) -> Ticket {
    assert!(error.is_deferred(), "{error:?}");
    error.ticket().unwrap()
}

#[test]
fn leftovers_go_first_and_new_calls_behind_them() {
    let directory = Directory::new();
    let file = directory.file();
    let mut tickets = Vec::new();
    for from in [0, 100, 200] {
        let peer = Peer::that(REFUSED);
        life(async {
            let outbox = open(&file, Outbox::builder);
            assert_eq!(outbox.len(), from as usize);
            assert_eq!(outbox.bytes(), 100 * from as usize);
            let service = with(&peer, &outbox);
            for number in from..from + 100 {
                let error = call(&service, spread(number)).await.unwrap_err();
                tickets.push(deferred(&error));
            }
        });
    }
    assert!(tickets.is_sorted_by(|a, b| a < b), "tickets go on");
    let peer = Peer::that(Does::AnswerAfter(MS));
    life(async {
        let outbox = open(&file, Outbox::builder);
        assert_eq!(outbox.len(), 300);
        let service = with(&peer, &outbox);
        let mut receipts = outbox.receipts();
        // All before the first is stored, which takes as long as the disk likes.
        let calls: Vec<_> = (300..310).map(|n| call(&service, spread(n))).collect();
        for call in calls {
            let error = call.await.unwrap_err();
            let ticket = deferred(&error);
            assert!(tickets.iter().all(|former| *former < ticket));
            assert_eq!(error.attempts(), 0, "it would have overtaken");
            tickets.push(ticket);
        }
        outbox.flush().await;
        let mut told: Vec<_> = std::iter::from_fn(|| receipts.try_recv().ok())
            .inspect(|receipt| assert_eq!(receipt.outcome(), Outcome::Delivered))
            .map(|receipt| receipt.ticket())
            .collect();
        told.sort();
        assert_eq!(told, tickets);
        assert_eq!(call(&service, spread(310)).await.unwrap(), 310);
    });
    for to in 0..3 {
        let came: Vec<_> = firsts(peer.attempts());
        let came: Vec<_> = came.into_iter().filter(|n| n % 3 == to).collect();
        let all: Vec<_> = (0..=310).filter(|n| n % 3 == to).collect();
        assert_eq!(came, all);
    }
    assert_eq!(life(async { open(&file, Outbox::builder).len() }), 0);
}

/// Notes for which attempt it was asked.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<(u64, u32)>>>);

impl ConnErrorPolicy<Message> for Notes {
    fn prepare(&self, request: &mut Message, attempt: u32) {
        self.0.lock().unwrap().push((request.number, attempt));
    }
}

#[test]
fn what_had_an_attempt_in_a_former_life_is_prepared_before_the_next() {
    let directory = Directory::new();
    let file = directory.file();
    let notes = Notes::default();
    let layer = || quick().policy(notes.clone());
    let peer = Peer::that(Does::FailAfter(
        20 * MS,
        std::io::ErrorKind::ConnectionRefused,
    ));
    life(async {
        let outbox = open(&file, Outbox::builder);
        let service = layer().outbox(outbox.clone()).layer(peer.client());
        let first = call(&service, message(1)).await.unwrap_err();
        assert_eq!((first.is_deferred(), first.attempts()), (true, 1));
        let second = call(&service, message(2)).await.unwrap_err();
        assert_eq!((second.is_deferred(), second.attempts()), (true, 0));
    });
    notes.0.lock().unwrap().clear();
    let peer = Peer::that(Does::Answer);
    life(async {
        let outbox = open(&file, Outbox::builder);
        let _service = layer().outbox(outbox.clone()).layer(peer.client());
        outbox.flush().await;
    });
    assert_eq!(peer.attempts(), [1, 2]);
    assert_eq!(*notes.0.lock().unwrap(), [(1, 2)], "the other had none yet");
}

#[test]
fn leftovers_are_not_given_up_for_an_error_that_looks_permanent() {
    let directory = Directory::new();
    let file = directory.file();
    let peer = Peer::that(REFUSED);
    life(async {
        let outbox = open(&file, Outbox::builder);
        deferred(&call(&with(&peer, &outbox), message(1)).await.unwrap_err());
    });
    // It starts again behind a captive portal, where names do not exist, and never was outside.
    let permanent = |error: &(dyn Error + 'static)| {
        classify(error).map(|error| error.with_outlook(Outlook::Permanent))
    };
    let mut left = 3;
    let peer = Peer::new(move |_| match left {
        0 => Does::Answer,
        _ => {
            left -= 1;
            REFUSED
        }
    });
    life(async {
        let outbox = open(&file, Outbox::builder);
        let layer = quick().policy(policy_fn(permanent)).outbox(outbox.clone());
        let _service = layer.layer(peer.client());
        outbox.flush().await;
        assert!(outbox.dead_letters().is_empty());
    });
    assert_eq!(peer.attempts(), [1, 1, 1, 1]);
}

#[test]
fn what_close_hands_out_stays_in_the_file() {
    let directory = Directory::new();
    let file = directory.file();
    let peer = Peer::that(REFUSED);
    life(async {
        let outbox = open(&file, Outbox::builder);
        let service = with(&peer, &outbox);
        for number in 0..50 {
            call(&service, spread(number)).await.unwrap_err();
        }
        let left = outbox.close(MS).await;
        let left: Vec<_> = left.into_iter().map(|message| message.number).collect();
        assert_eq!(left, (0..50).collect::<Vec<_>>());
        let error = call(&service, message(51)).await.unwrap_err();
        assert_eq!(error.reason(), tower_conn_retry::Reason::Closed);
    });
    let peer = Peer::that(Does::Answer);
    life(async {
        let outbox = open(&file, Outbox::builder);
        assert_eq!(outbox.len(), 50);
        let _service = with(&peer, &outbox);
        outbox.flush().await;
        assert!(outbox.close(MS).await.is_empty());
    });
    let mut came = peer.attempts();
    came.sort_unstable();
    assert_eq!(came, (0..50).collect::<Vec<_>>());
    assert!(life(async { open(&file, Outbox::builder).is_empty() }));
}
