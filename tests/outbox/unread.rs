//! A store that can't be read just then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tower_conn_retry::outbox::{Changes, Contents, MemoryStore, Message as Stored, Store, Ticket};
use tower_conn_retry::{BoxError, Destination, Outbox, Outcome};

use super::faulty::leftovers;
use super::with;
use crate::peer::*;

/// Fails to read so many times when it is told to.
struct Flaky {
    inner: MemoryStore<Message>,
    failures: Arc<AtomicUsize>,
}

impl Store<Message> for Flaky {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        self.inner.contents()
    }

    fn commit(&mut self, changes: Changes<Message>) -> Result<(), BoxError> {
        self.inner.commit(changes)
    }

    fn read(
        &mut self,
        destination: &Destination,
        after: Option<Ticket>,
        most: usize,
        show: &mut dyn FnMut(Ticket, Result<&Stored<Message>, BoxError>),
    ) -> Result<(), BoxError> {
        let less = |left: usize| left.checked_sub(1);
        let order = Ordering::Relaxed;
        match self.failures.fetch_update(order, order, less) {
            Ok(_) => Err("not now".into()),
            Err(_) => self.inner.read(destination, after, most, show),
        }
    }

    fn is_in_memory(&self) -> bool {
        true
    }
}

/// What becomes of a message that is read again when that fails twice.
async fn dead_after(does: Does, age: Option<u32>) -> Vec<(u64, Outcome)> {
    let failures = Arc::new(AtomicUsize::new(0));
    let store = Flaky {
        inner: leftovers(0..1),
        failures: failures.clone(),
    };
    let builder = Outbox::builder();
    let builder = match age {
        Some(seconds) => builder.max_age(seconds * SECOND),
        None => builder,
    };
    let outbox = builder.store(store).unwrap();
    let peer = Peer::that(does);
    let _service = with(&peer, &outbox);
    settle().await;
    failures.store(2, Ordering::Relaxed);
    pass(30 * SECOND).await;
    assert_eq!(failures.load(Ordering::Relaxed), 0, "it was read");
    outbox.flush().await;
    let dead = outbox.dead_letters();
    dead.iter()
        .map(|it| (it.request().number, it.outcome()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_then_is_a_dead_letter_all_the_same() {
    let kind = std::io::ErrorKind::InvalidData;
    let dead = dead_after(Does::FailAfter(SECOND, kind), None).await;
    assert_eq!(dead, [(0, Outcome::Refused)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_then_is_a_dead_letter_all_the_same() {
    assert_eq!(dead_after(REFUSED, Some(10)).await, [(0, Outcome::Expired)]);
}
