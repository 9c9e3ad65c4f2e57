//! Many callers, of whom some leave, and an outbox that is always full: what is dropped is counted once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_conn_retry::outbox::{Changes, Contents, MemoryStore, Message as Stored, Store, Ticket};
use tower_conn_retry::{
    BoxError, Destination, Limits, Outbox, OutboxBuilder, Outcome, RetryOnConnErr, WhenFull,
};

use crate::peer::{MS, Message, message};

const CALLERS: u64 = 8;
const CALLS: u64 = 200;

/// In memory, and on a thread all the same.
struct Blocks(MemoryStore<Message>);

impl Store<Message> for Blocks {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.0.contents()
    }

    fn commit(&mut self, changes: Changes<Message>) -> Result<(), BoxError> {
        self.0.commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Message>, BoxError>),
    ) -> Result<(), BoxError> {
        self.0.read(destination, after, most, show)
    }
}

async fn is_counted_once(outbox: Outbox<Message>) {
    let calls = Arc::new(AtomicU64::new(0));
    let peer = service_fn(move |message: Message| {
        let answers = calls.fetch_add(1, Ordering::Relaxed) % 40 >= 20;
        async move {
            tokio::task::yield_now().await;
            match answers {
                true => Ok(message.number),
                false => Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused)),
            }
        }
    });
    let service = RetryOnConnErr::new()
        .backoff(|| std::iter::repeat(MS))
        .outbox(outbox.clone())
        .layer(peer);
    let mut receipts = outbox.receipts();
    let listens = tokio::spawn(async move {
        let mut told = HashMap::new();
        loop {
            match tokio::time::timeout(500 * MS, receipts.recv()).await {
                Ok(Ok(receipt)) => {
                    let before = told.insert(receipt.ticket(), receipt.outcome());
                    assert_eq!(before, None, "{receipt:?}");
                }
                Ok(Err(RecvError::Lagged(missed))) => panic!("{missed} missed"),
                Ok(Err(RecvError::Closed)) | Err(_) => return told,
            }
        }
    });
    let callers = (0..CALLERS).map(|caller| {
        let (service, outbox) = (service.clone(), outbox.clone());
        tokio::spawn(async move {
            let mut deferred = Vec::new();
            for number in 0..CALLS {
                let mut service = service.clone();
                service.ready().await.unwrap();
                let to = ["a", "b", "c"][(caller % 3) as usize];
                let call = service.call(Message {
                    to,
                    ..message(number)
                });
                if number % 5 == 0 {
                    let mut call = Box::pin(call);
                    let _ = futures_util::poll!(&mut call);
                } else {
                    deferred.extend(call.await.err().and_then(|error| error.ticket()));
                }
                // In memory each thread may store one.
                assert!(outbox.len() <= 20, "{}", outbox.len());
                tokio::task::yield_now().await;
            }
            deferred
        })
    });
    let mut deferred = Vec::new();
    for caller in callers.collect::<Vec<_>>() {
        deferred.extend(caller.await.unwrap());
    }
    let flushed = tokio::time::timeout(Duration::from_secs(60), outbox.flush()).await;
    flushed.expect("all go");
    assert_eq!((outbox.len(), outbox.bytes()), (0, 0));
    let told = listens.await.unwrap();
    assert!(deferred.iter().all(|ticket| told.contains_key(ticket)));
    let dropped = told.values().filter(|it| **it == Outcome::Dropped).count() as u64;
    let unread = outbox.dead_letters().len() as u64;
    assert_eq!(outbox.lost_letters() + unread, dropped);
}

fn full() -> OutboxBuilder<Message> {
    let builder: OutboxBuilder<Message> = Outbox::builder();
    let limits = Limits::new().requests(10);
    let builder = builder.limits(limits).survive_cancel(true);
    builder.when_full(WhenFull::DropOldest)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_dropped_from_memory_is_counted_once() {
    is_counted_once(full().in_memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_dropped_from_a_store_that_blocks_is_counted_once() {
    is_counted_once(full().store(Blocks(MemoryStore::new())).unwrap()).await;
}
