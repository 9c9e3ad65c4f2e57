//! A ticket tells the receiver what comes a second time, so none is given twice.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex};

use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::outbox::{Codec, disk};
use tower_conn_retry::{BoxError, Outbox, Replayable, RetryOnConnErr, Ticket};

use super::life::{Directory, life};
use crate::peer::SECOND;

#[derive(Clone)]
struct Reading(u64);

impl Replayable for Reading {
    fn try_clone(&self) -> Option<Self> {
        Some(self.clone())
    }

    fn set_ticket(&mut self, ticket: Ticket) {
        self.0 = ticket.get();
    }
}

struct AsBytes;

impl Codec<Reading> for AsBytes {
    fn encode(&self, reading: &Reading, into: &mut Vec<u8>) -> Result<(), BoxError> {
        into.extend_from_slice(&reading.0.to_le_bytes());
        Ok(())
    }

    fn decode(&self, bytes: &[u8]) -> Result<Reading, BoxError> {
        Ok(Reading(u64::from_le_bytes(bytes.try_into()?)))
    }
}

type Seen = Arc<Mutex<HashSet<u64>>>;

/// Makes calls that are answered at once.
async fn calls(outbox: &Outbox<Reading>, seen: &Seen) {
    let seen = seen.clone();
    let client = service_fn(move |Reading(ticket)| {
        assert!(seen.lock().unwrap().insert(ticket), "{ticket} again");
        async { Ok::<_, io::Error>(()) }
    });
    let mut service = RetryOnConnErr::new().outbox(outbox.clone()).layer(client);
    for _ in 0..3 {
        service
            .ready()
            .await
            .unwrap()
            .call(Reading(0))
            .await
            .unwrap();
    }
}

#[test]
fn what_was_answered_at_once_has_its_ticket_for_ever() {
    let (directory, seen) = (Directory::new(), Seen::default());
    for _ in 0..3 {
        life(async {
            let outbox = Outbox::open(directory.file(), AsBytes).unwrap();
            calls(&outbox, &seen).await;
            outbox.close(SECOND).await;
        });
    }
    assert_eq!(seen.lock().unwrap().len(), 9);
}

#[test]
fn a_file_that_was_salvaged_gives_none_twice() {
    let (directory, seen) = (Directory::new(), Seen::default());
    let file = directory.file();
    for salvaged in [false, true, true] {
        if salvaged {
            disk::salvage(&file).unwrap();
        }
        life(async {
            let outbox = Outbox::open(&file, AsBytes).unwrap();
            calls(&outbox, &seen).await;
            outbox.close(SECOND).await;
        });
    }
    assert_eq!(seen.lock().unwrap().len(), 9);
}
