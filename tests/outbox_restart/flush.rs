//! What was flushed is not in the store any more.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use tower_conn_retry::outbox::{Changes, Contents, MemoryStore, Message as Stored, Store};
use tower_conn_retry::{BoxError, Destination, Outbox, Ticket};

use super::life::{life, with};
use crate::peer::*;

/// A store that others can look into, and whose removals fail so often.
#[derive(Clone, Default)]
struct Shared {
    store: Arc<Mutex<MemoryStore<Message>>>,
    failures: Arc<Mutex<u32>>,
    /// The next read fails.
    read_fails: Arc<AtomicBool>,
}

impl Shared {
    fn len(&self) -> usize {
        let contents = self.store.lock().unwrap().contents().unwrap();
        contents.destinations.iter().map(|of| of.1).sum()
    }
}

impl Store<Message> for Shared {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.store.lock().unwrap().contents()
    }

    fn commit(&mut self, changes: Changes<Message>) -> Result<(), BoxError> {
        let mut failures = self.failures.lock().unwrap();
        if !changes.remove.is_empty() && *failures > 0 {
            *failures -= 1;
            return Err("no room left".into());
        }
        self.store.lock().unwrap().commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Message>, BoxError>),
    ) -> Result<(), BoxError> {
        if self.read_fails.swap(false, Ordering::Relaxed) {
            return Err("out of order".into());
        }
        let mut store = self.store.lock().unwrap();
        store.read(destination, after, most, show)
    }
}

#[test]
fn a_flush_waits_until_a_removal_that_failed_is_made_up_for() {
    let store = Shared::default();
    life(async {
        let outbox = Outbox::builder().store(store.clone()).unwrap();
        let peer = Peer::that(REFUSED);
        let service = with(&peer, &outbox);
        call(&service, message(1)).await.unwrap_err();
        *store.failures.lock().unwrap() = 3;
        peer.now_does(Does::Answer);
        outbox.flush().await;
        assert_eq!((store.len(), outbox.len()), (0, 0));
    });
}

#[test]
fn a_close_in_time_removes_what_was_delivered() {
    let store = Shared::default();
    life(async {
        let outbox = Outbox::builder().store(store.clone()).unwrap();
        let peer = Peer::new(|message| match message.number {
            0..50 => Does::Answer,
            _ => REFUSED,
        });
        let service = with(&peer, &outbox);
        peer.is_unready(Some(std::io::ErrorKind::ConnectionRefused));
        for number in 0..100 {
            call(&service, message(number)).await.unwrap_err();
        }
        peer.is_unready(None);
        while outbox.len() > 50 {
            settle().await;
        }
        assert_eq!(outbox.close(MS).await.len(), 50);
        assert_eq!(store.len(), 50);
    });
}

/// Looks whether the outbox says that it is flushed, in the very moment in which it has become empty.
struct Looks {
    outbox: Outbox<Message>,
    store: Shared,
    lied: AtomicBool,
}

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        let mut flush = pin!(self.outbox.flush());
        let cx = &mut Context::from_waker(Waker::noop());
        // The thread of the store has all the time that it needs.
        let flushed = (0..20_000).any(|_| {
            std::thread::yield_now();
            flush.as_mut().poll(cx).is_ready()
        });
        if flushed && self.store.len() > 0 {
            self.lied.store(true, Ordering::Relaxed);
        }
    }
}

#[test]
fn nothing_is_flushed_between_its_answer_and_its_removal() {
    let store = Shared::default();
    life(async {
        let outbox = Outbox::builder().store(store.clone()).unwrap();
        let peer = Peer::that(REFUSED);
        let service = with(&peer, &outbox);
        call(&service, message(1)).await.unwrap_err();
        let looks = Arc::new(Looks {
            outbox: outbox.clone(),
            store: store.clone(),
            lied: AtomicBool::new(false),
        });
        let waker = Waker::from(looks.clone());
        let mut flush = Box::pin(outbox.flush());
        let polled = flush.as_mut().poll(&mut Context::from_waker(&waker));
        assert_eq!(polled, Poll::Pending);
        peer.now_does(Does::Answer);
        outbox.flush().await;
        assert!(!looks.lied.load(Ordering::Relaxed));
        drop(flush);
    });
}

#[test]
fn a_close_keeps_the_age_of_what_is_left() {
    let store = Shared::default();
    let clock = || store.store.lock().unwrap().contents().unwrap().clock;
    life(async {
        let outbox = Outbox::builder().store(store.clone()).unwrap();
        let service = with(&Peer::that(REFUSED), &outbox);
        call(&service, message(1)).await.unwrap_err();
        let stored = clock();
        assert_eq!(outbox.close(MS).await.len(), 1);
        assert!(clock() > stored, "it has been open since then");
    });
}

#[test]
fn a_close_reads_what_is_left_once_more_if_that_fails() {
    let store = Shared::default();
    life(async {
        let outbox = Outbox::builder().store(store.clone()).unwrap();
        let peer = Peer::that(REFUSED);
        let service = with(&peer, &outbox);
        for number in 0..3 {
            call(&service, message(number)).await.unwrap_err();
        }
        // All are read, and the probe hangs.
        peer.now_does(Does::Hang);
        while peer.attempts().len() < 2 {
            pass(MS).await;
        }
        store.read_fails.store(true, Ordering::Relaxed);
        assert_eq!(outbox.close(MS).await.len(), 3);
        assert!(!store.read_fails.load(Ordering::Relaxed));
    });
}
