//! A store that fails now and then.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tower_conn_retry::outbox::{Changes, Contents, MemoryStore, Message as Stored, Store};
use tower_conn_retry::{BoxError, Destination, Outbox, Reason, Ticket};

use super::life::{Directory, firsts, life, open, with};
use crate::peer::*;

/// Every so many commits and reads fail. It says that it blocks, so it is on a thread of its own.
struct Failing {
    store: MemoryStore<Message>,
    every: usize,
    calls: usize,
    failed: Arc<AtomicUsize>,
}

impl Failing {
    fn fails(&mut self) -> Result<(), BoxError> {
        self.calls += 1;
        if self.calls % self.every == 0 {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return Err("out of order".into());
        }
        Ok(())
    }
}

impl Store<Message> for Failing {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.store.contents()
    }

    fn commit(&mut self, changes: Changes<Message>) -> Result<(), BoxError> {
        self.fails()?;
        self.store.commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Message>, BoxError>),
    ) -> Result<(), BoxError> {
        self.fails()?;
        self.store.read(destination, after, most, show)
    }
}

#[test]
fn what_was_deferred_arrives_though_the_store_fails_now_and_then() {
    let failed = Arc::new(AtomicUsize::new(0));
    let store = Failing {
        store: MemoryStore::new(),
        every: 5,
        calls: 0,
        failed: failed.clone(),
    };
    let peer = Peer::that(REFUSED);
    life(async {
        let outbox = Outbox::builder().store(store).unwrap();
        let service = with(&peer, &outbox);
        let (mut kept, mut refused) = (Vec::new(), 0);
        for number in 0..200 {
            let error = call(&service, message(number)).await.unwrap_err();
            match error.reason() {
                Reason::Deferred => kept.push(number),
                Reason::NotStored => refused += 1,
                other => panic!("{other:?}"),
            }
            assert_eq!(outbox.len(), kept.len());
        }
        assert!(refused > 10, "{refused}");
        peer.forget_attempts();
        peer.now_does(Does::Answer);
        outbox.flush().await;
        assert!(outbox.is_empty());
        assert_eq!(outbox.bytes(), 0);
        assert_eq!(firsts(peer.attempts()), kept);
        assert!(outbox.dead_letters().is_empty());
    });
    assert!(failed.load(Ordering::Relaxed) > 10);
}

#[test]
fn a_message_that_cant_be_encoded_takes_no_other_with_it() {
    let directory = Directory::new();
    let file = directory.file();
    let peer = Peer::that(REFUSED);
    life(async {
        let outbox = open(&file, Outbox::builder);
        let service = with(&peer, &outbox);
        let calls: Vec<_> = (600..700)
            .map(|n| (n, send(&service, message(n))))
            .collect();
        for (number, call) in calls {
            let error = call.await.unwrap().unwrap_err();
            let reason = match number {
                666 => Reason::NotStored,
                _ => Reason::Deferred,
            };
            assert_eq!(error.reason(), reason, "{number}");
        }
        assert_eq!(outbox.len(), 99);
    });
    assert_eq!(life(async { open(&file, Outbox::builder).len() }), 99);
}

/// Its reads wait while somebody holds the gate.
struct Gated {
    store: MemoryStore<Message>,
    gate: Arc<Mutex<()>>,
}

impl Store<Message> for Gated {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.store.contents()
    }

    fn commit(&mut self, changes: Changes<Message>) -> Result<(), BoxError> {
        self.store.commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Message>, BoxError>),
    ) -> Result<(), BoxError> {
        let _open: MutexGuard<'_, ()> = self.gate.lock().unwrap();
        self.store.read(destination, after, most, show)
    }
}

#[test]
#[expect(clippy::await_holding_lock, reason = "another thread waits for it")]
fn deliveries_go_on_while_the_store_takes_its_time() {
    let gate = Arc::new(Mutex::new(()));
    let store = Gated {
        store: MemoryStore::new(),
        gate: gate.clone(),
    };
    let peer = Peer::that(REFUSED);
    let attempts = |more: usize| {
        let (peer, number) = (peer.clone(), peer.attempts().len() + more);
        async move {
            while peer.attempts().len() < number {
                pass(MS).await;
            }
        }
    };
    life(async {
        let outbox = Outbox::builder().store(store).unwrap();
        let service = with(&peer, &outbox);
        call(&service, message(1)).await.unwrap_err();
        attempts(3).await;
        let shut = gate.lock().unwrap();
        let second = call(&service, message(2)).await.unwrap_err();
        assert!(second.is_deferred());
        attempts(5).await; // of the first one, while its worker waits for the store
        drop(shut);
        peer.now_does(Does::Answer);
        outbox.flush().await;
    });
    let all = peer.attempts();
    assert_eq!(all.last(), Some(&2));
    assert!(all[..all.len() - 1].iter().all(|number| *number == 1));
}
