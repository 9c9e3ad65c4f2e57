//! What fails in a store is told: to the call, and to the observer.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tower::Layer;
use tower_conn_retry::outbox::{
    Changes, Contents, MemoryStore, Message as Stored, OutboxErrorKind, Store,
};
use tower_conn_retry::{BoxError, Destination, Observer, Outbox, OutboxError, Reason, Ticket};

use super::life::{Directory, Numbers, life, quick, with};
use crate::peer::*;

/// What fails now.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    puts: bool,
    removes: bool,
    reads: bool,
    panics: bool,
}

struct Faulty {
    store: MemoryStore<Message>,
    faults: Arc<Mutex<Faults>>,
    /// Who holds it keeps commits waiting.
    gate: Arc<Mutex<()>>,
    in_memory: bool,
}

impl Faulty {
    fn new(in_memory: bool) -> (Self, Arc<Mutex<Faults>>) {
        let faults = Arc::<Mutex<Faults>>::default();
        let store = Self {
            store: MemoryStore::new(),
            faults: faults.clone(),
            gate: Arc::default(),
            in_memory,
        };
        (store, faults)
    }

    fn fails(&self, what: &str, if_so: impl Fn(&Faults) -> bool) -> Result<(), BoxError> {
        let faults = *self.faults.lock().unwrap();
        match if_so(&faults) {
            true if faults.panics => panic!("{what}"),
            true => Err(format!("no {what}").into()),
            false => Ok(()),
        }
    }
}

impl Store<Message> for Faulty {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.store.contents()
    }

    fn commit(&mut self, changes: Changes<Message>) -> Result<(), BoxError> {
        drop(self.gate.lock());
        self.fails("puts", |it| it.puts && !changes.put.is_empty())?;
        self.fails("removes", |it| it.removes && !changes.remove.is_empty())?;
        self.store.commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Message>, BoxError>),
    ) -> Result<(), BoxError> {
        self.fails("reads", |it| it.reads)?;
        self.store.read(destination, after, most, show)
    }

    fn is_in_memory(&self) -> bool {
        self.in_memory
    }
}

/// Notes what it is told, looks at the outbox, and panics.
#[derive(Clone)]
struct Log {
    outbox: Outbox<Message>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Log {
    fn new(outbox: &Outbox<Message>) -> Self {
        let (outbox, told) = (outbox.clone(), Arc::default());
        Self { outbox, told }
    }

    fn was_told(&self, text: &str) -> bool {
        self.told.lock().unwrap().iter().any(|it| it == text)
    }

    async fn hears(&self, text: &str) {
        while !self.was_told(text) {
            pass(MS).await;
        }
    }
}

impl Observer for Log {
    fn store_failed(&self, error: &(dyn Error + 'static)) {
        // No lock is held.
        self.outbox.len();
        self.outbox.dead_letters();
        self.told.lock().unwrap().push(error.to_string());
        panic!("a bug in an observer");
    }
}

struct Quiet;

impl Observer for Quiet {}

#[test]
fn an_observer_is_told_what_fails_in_the_store() {
    for in_memory in [true, false] {
        let (store, faults) = Faulty::new(in_memory);
        life(async {
            let outbox = Outbox::builder().store(store).unwrap();
            let log = Log::new(&outbox);
            let peer = Peer::that(REFUSED);
            // Through a pair and a pointer, too.
            let observer = (Quiet, Arc::new(log.clone()));
            let service = quick()
                .observer(observer)
                .outbox(outbox.clone())
                .layer(peer.client());
            faults.lock().unwrap().puts = true;
            let error = call(&service, message(1)).await.unwrap_err();
            assert_eq!(error.reason(), Reason::NotStored);
            log.hears("no puts").await;
            *faults.lock().unwrap() = Faults {
                reads: true,
                ..Faults::default()
            };
            assert!(call(&service, message(2)).await.unwrap_err().is_deferred());
            log.hears("no reads").await;
            *faults.lock().unwrap() = Faults {
                removes: true,
                ..Faults::default()
            };
            peer.now_does(Does::Answer);
            log.hears("no removes").await;
            faults.lock().unwrap().panics = true;
            if in_memory {
                call(&service, message(3)).await.unwrap();
            } else {
                log.hears("the store panicked: removes").await;
            }
            *faults.lock().unwrap() = Faults::default();
            outbox.flush().await;
        });
    }
}

#[test]
fn a_call_says_why_its_message_was_not_stored() {
    for in_memory in [true, false] {
        let (store, faults) = Faulty::new(in_memory);
        life(async {
            let outbox = Outbox::builder().store(store).unwrap();
            let service = with(&Peer::that(REFUSED), &outbox);
            for (panics, why) in [(false, "no puts"), (true, "the store panicked: puts")] {
                *faults.lock().unwrap() = Faults {
                    puts: true,
                    panics,
                    ..Faults::default()
                };
                let error = call(&service, message(1)).await.unwrap_err();
                assert_eq!(error.reason(), Reason::NotStored);
                let start = format!(
                    "the peer is down, and the outbox could not store the request: {why} ("
                );
                assert!(error.to_string().starts_with(&start), "{error}");
            }
        });
    }
}

#[test]
fn the_error_of_a_store_on_disk_is_in_the_chain() {
    let directory = Directory::new();
    life(async {
        let outbox = Outbox::open(directory.file(), Numbers).unwrap();
        let service = with(&Peer::that(REFUSED), &outbox);
        let error = call(&service, message(666)).await.unwrap_err();
        let found = error.downcast_ref::<OutboxError>().unwrap();
        assert_eq!(found.kind(), OutboxErrorKind::Encode);
        assert!(error.to_string().contains(": not this one ("), "{error}");
        // What the service said is first.
        let io = error.downcast_ref::<std::io::Error>().unwrap();
        assert_eq!(io.kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn calls_are_deferred_where_only_removals_fail() {
    let (store, faults) = Faulty::new(false);
    life(async {
        let outbox = Outbox::builder().store(store).unwrap();
        let peer = Peer::that(REFUSED);
        let service = with(&peer, &outbox);
        call(&service, message(0)).await.unwrap_err();
        faults.lock().unwrap().removes = true;
        peer.now_does(Does::Answer);
        while !outbox.is_empty() {
            pass(MS).await;
        }
        peer.now_does(REFUSED);
        peer.forget_attempts();
        for number in 1..40 {
            let error = call(&service, message(number)).await.unwrap_err();
            assert!(error.is_deferred(), "{number}: {error}");
            pass(40 * MS).await; // over some tries of the removal
        }
        assert_eq!(outbox.len(), 39);
        *faults.lock().unwrap() = Faults::default();
        peer.forget_attempts();
        peer.now_does(Does::Answer);
        outbox.flush().await;
        assert_eq!(peer.attempts(), (1..40).collect::<Vec<_>>());
    });
}

#[test]
#[expect(clippy::await_holding_lock, reason = "another thread waits for it")]
fn a_removal_that_fails_takes_no_call_with_it_that_came_at_once() {
    let (store, faults) = Faulty::new(false);
    let gate = store.gate.clone();
    let is_up = Arc::new(AtomicBool::new(false));
    let up = is_up.clone();
    let peer = Peer::new(move |message| match message.to {
        "a" if up.load(Ordering::Relaxed) => Does::Answer,
        _ => REFUSED,
    });
    life(async {
        let outbox = Outbox::builder().store(store).unwrap();
        let service = with(&peer, &outbox);
        let to_a = Message {
            to: "a",
            ..message(1)
        };
        assert!(call(&service, to_a).await.unwrap_err().is_deferred());
        pass(100 * MS).await; // its worker has read all that there is
        let shut = gate.lock().unwrap();
        let second = send(&service, message(2));
        pass(50 * MS).await;
        is_up.store(true, Ordering::Relaxed);
        while outbox.len() != 1 {
            pass(MS).await;
        }
        // Its removal waits for the commit of the second one, and so does the third.
        let third = send(&service, message(3));
        pass(50 * MS).await;
        faults.lock().unwrap().removes = true;
        drop(shut);
        for call in [second, third] {
            let error = call.await.unwrap().unwrap_err();
            assert!(error.is_deferred(), "{error}");
        }
        assert_eq!(outbox.len(), 2);
    });
}
