//! When an outbox is closed, its file is free, whoever still has a handle.

use tower_conn_retry::outbox::OutboxErrorKind;
use tower_conn_retry::{Outbox, Reason};

use super::life::{Directory, Numbers, life, spread, with};
use crate::peer::*;

#[test]
fn a_file_can_be_opened_again_at_once() {
    let directory = Directory::new();
    let file = directory.file();
    // It is closed empty, when its time is over, and while attempts are in flight.
    for (does, left) in [(Does::Answer, 0), (REFUSED, 20), (Does::Hang, 20)] {
        life(async {
            let outbox = Outbox::open(&file, Numbers).unwrap();
            let peer = Peer::that(REFUSED);
            let service = with(&peer, &outbox);
            for number in 0..20 {
                let error = call(&service, message(number)).await.unwrap_err();
                assert!(error.is_deferred());
            }
            peer.now_does(does);
            let again = Outbox::<Message>::open(&file, Numbers).unwrap_err();
            assert_eq!(again.kind(), OutboxErrorKind::Locked);
            let limit = if left == 0 { 10 * SECOND } else { 30 * MS };
            let clone = outbox.clone();
            assert_eq!(outbox.close(limit).await.len(), left);

            let next = Outbox::<Message>::open(&file, Numbers).unwrap();
            assert_eq!(next.len(), left);
            let error = call(&service, message(99)).await.unwrap_err();
            assert_eq!(error.reason(), Reason::Closed);
            assert_eq!((clone.len(), clone.bytes()), (0, 0));
            clone.flush().await;
            assert!(clone.close(SECOND).await.is_empty());
            // The new one works beside them.
            let peer = Peer::that(Does::Answer);
            let _service = with(&peer, &next);
            next.flush().await;
            assert_eq!(peer.attempts().len(), left);
            next.close(SECOND).await;
        });
    }
}

#[test]
fn two_who_close_it_at_once_both_find_it_free() {
    let directory = Directory::new();
    let file = directory.file();
    life(async {
        let outbox = Outbox::open(&file, Numbers).unwrap();
        let service = with(&Peer::that(REFUSED), &outbox);
        call(&service, message(1)).await.unwrap_err();
        let (one, other) = futures_util::join!(outbox.close(MS), outbox.close(MS));
        assert_eq!(one.len() + other.len(), 1);
        Outbox::<Message>::open(&file, Numbers).unwrap();
    });
}

#[test]
fn two_who_close_it_at_once_are_handed_out_all_that_is_left() {
    let directory = Directory::new();
    life(async {
        let outbox = Outbox::open(directory.file(), Numbers).unwrap();
        let service = with(&Peer::that(REFUSED), &outbox);
        // What is left for each destination is read by itself.
        for number in 0..9 {
            call(&service, spread(number)).await.unwrap_err();
        }
        let (one, other) = futures_util::join!(outbox.close(MS), outbox.close(MS));
        assert_eq!(one.len() + other.len(), 9);
    });
}

#[test]
fn one_without_a_service_lets_go_of_its_file_too() {
    let directory = Directory::new();
    let file = directory.file();
    life(async {
        let outbox = Outbox::<Message>::open(&file, Numbers).unwrap();
        assert!(outbox.close(MS).await.is_empty());
        Outbox::<Message>::open(&file, Numbers).unwrap();
        drop(outbox);
    });
}
