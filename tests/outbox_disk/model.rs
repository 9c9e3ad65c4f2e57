use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use tower_conn_retry::Destination;
use tower_conn_retry::outbox::{Changes, MemoryStore, Message, Store, Ticket};

use super::tools::{Directory, open};

type Id = (u8, u64);

#[derive(Debug, Clone)]
enum Step {
    Commit {
        put: Vec<(Id, usize)>,
        remove: Vec<Id>,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || (0..4_u8, 0..12_u64);
    let put = prop::collection::vec((id(), 0..300_usize), 0..6);
    let remove = prop::collection::vec(id(), 0..6);
    let commit = (put, remove).prop_map(|(put, remove)| Step::Commit { put, remove });
    prop_oneof![9 => commit, 1 => Just(Step::Reopen)]
}

fn destination(number: u8) -> Destination {
    match number {
        0 => Destination::default(),
        1 => Destination::new(""),
        2 => Destination::new("the peer"),
        _ => Destination::new("https://robot.example"),
    }
}

fn changes(put: &[(Id, usize)], remove: &[Id], round: u64) -> Changes<Bytes> {
    let message = |&((to, ticket), len): &(Id, usize)| Message {
        // No ticket is put twice.
        ticket: Ticket::new(round * 12 + ticket),
        destination: destination(to),
        request: vec![ticket as u8; len].into(),
        size: len,
        since: Duration::from_millis(round),
        attempts: u32::from(to),
        maybe_sent: len % 2 == 0,
        max_age: None,
    };
    let mut put: Vec<_> = put.iter().map(message).collect();
    put.sort_by_key(|message| message.ticket);
    put.dedup_by_key(|message| message.ticket);
    put.reverse();
    let back = |(to, ticket): &Id| {
        let ticket = (round * 12 + 6).saturating_sub(ticket * 3);
        (destination(*to), Ticket::new(ticket))
    };
    Changes {
        put,
        remove: remove.iter().map(back).collect(),
        clock: Duration::from_secs(round),
    }
}

fn everything(store: &mut dyn Store<Bytes>) -> Vec<String> {
    let contents = store.contents().unwrap();
    let mut found = vec![format!("{} {:?}", contents.next, contents.clock)];
    let mut counts: Vec<_> = contents
        .destinations
        .iter()
        .map(|it| format!("{it:?}"))
        .collect();
    counts.sort();
    found.append(&mut counts);
    for number in 0..4 {
        let read = store.read(&destination(number), None, 1_000, &mut |ticket, message| {
            found.push(format!("{ticket} {:?}", message.unwrap()));
        });
        read.unwrap();
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_on_disk_is_what_would_be_in_memory(steps in prop::collection::vec(step(), 1..25)) {
        let directory = Directory::in_memory();
        let path = directory.file("outbox");
        let mut memory = MemoryStore::new();
        let mut disk = Some(open(&path).unwrap());
        for (round, step) in (0..).zip(&steps) {
            match step {
                Step::Reopen => {
                    drop(disk.take());
                    disk = Some(open(&path).unwrap());
                }
                Step::Commit { put, remove } => {
                    memory.commit(changes(put, remove, round)).unwrap();
                    let disk = disk.as_mut().unwrap();
                    disk.commit(changes(put, remove, round)).unwrap();
                }
            }
            prop_assert_eq!(everything(disk.as_mut().unwrap()), everything(&mut memory));
        }
    }
}
