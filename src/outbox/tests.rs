use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tower::{Layer, Service, ServiceExt, service_fn};

use super::put::Put;
use super::shared::{Attached, Settings, Shared};
use super::{Changes, Contents, Message, Outbox, Store, Ticket};
use crate::config::Config;
use crate::link::Table;
use crate::{BoxError, Destination, Limits, RetryOnConnErr, WhenFull};

/// While it stores a message, somebody calls.
struct Busy {
    table: Arc<OnceLock<Arc<Table>>>,
    went_directly: Arc<Mutex<Vec<bool>>>,
}

impl Store<u32> for Busy {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        Ok(Contents::default())
    }

    fn commit(&mut self, _: Changes<u32>) -> Result<(), BoxError> {
        let entered = self.table.get().ok_or("not layered")?.enter();
        let mut seen = self.went_directly.lock().map_err(|_| "poisoned")?;
        seen.push(entered.unhindered().is_some());
        Ok(())
    }

    fn read(
        &mut self,
        _: &Destination,
        _: Option<Ticket>,
        _: usize,
        _: &mut dyn FnMut(Ticket, Result<&Message<u32>, BoxError>),
    ) -> Result<(), BoxError> {
        Ok(())
    }

    fn is_in_memory(&self) -> bool {
        true
    }
}

#[test]
fn who_calls_while_a_message_is_stored_goes_behind_it() {
    let table = Arc::<OnceLock<_>>::default();
    let went_directly = Arc::<Mutex<Vec<bool>>>::default();
    let store = Busy {
        table: table.clone(),
        went_directly: went_directly.clone(),
    };
    let settings = Settings {
        limits: Limits::new(),
        when_full: WhenFull::Reject,
        max_age: None,
        survive_cancel: false,
    };
    let outbox = Shared::open(Box::new(store), settings).expect("it opens");
    let links = table.get_or_init(|| Table::new(Config::new(), 0)).clone();
    outbox.attach(Attached {
        table: links.clone(),
        copy: |message| Some(*message),
        start: Box::new(|_, _, _| {}),
    });
    let number = links.enter().unhindered().expect("all is well");
    let message = Message {
        ticket: Ticket::new(number),
        destination: Destination::default(),
        request: 1,
        size: 1,
        since: Duration::ZERO,
        attempts: 1,
        maybe_sent: true,
        max_age: None,
    };
    let put = outbox.put(message, false);
    assert!(matches!(put, Put::Stored));
    assert_eq!(*went_directly.lock().expect("not poisoned"), [false]);
}

/// What is reserved in it. The second time it fails.
struct Reserves(Arc<Mutex<Vec<u64>>>);

impl Store<u32> for Reserves {
    fn contents(&mut self) -> Result<Contents, BoxError> {
        let next = 1_000;
        Ok(Contents {
            next,
            ..Contents::default()
        })
    }

    fn commit(&mut self, _: Changes<u32>) -> Result<(), BoxError> {
        Ok(())
    }

    fn read(
        &mut self,
        _: &Destination,
        _: Option<Ticket>,
        _: usize,
        _: &mut dyn FnMut(Ticket, Result<&Message<u32>, BoxError>),
    ) -> Result<(), BoxError> {
        Ok(())
    }

    fn reserve(&mut self, next: u64) -> Result<(), BoxError> {
        let mut seen = self.0.lock().map_err(|_| "poisoned")?;
        seen.push(next);
        if seen.len() == 2 {
            return Err("out of order".into());
        }
        Ok(())
    }

    fn is_in_memory(&self) -> bool {
        true
    }
}

#[tokio::test]
async fn a_call_has_more_tickets_reserved_when_it_is_time() -> Result<(), BoxError> {
    let seen = Arc::<Mutex<Vec<u64>>>::default();
    let outbox = Outbox::builder().store(Reserves(seen.clone()))?;
    let client = service_fn(|number: u32| async move { Ok::<_, BoxError>(number) });
    let layer = RetryOnConnErr::new()
        .clone_requests()
        .outbox(outbox.clone());
    let mut service = layer.layer(client);
    let reserved = || seen.lock().expect("not poisoned").clone();
    let first = reserved()[0];
    service.ready().await?.call(1).await?;
    assert_eq!(
        reserved(),
        [first],
        "when it is opened, and not by each call"
    );
    outbox.shared.reserved.failed(); // as if half of them were given
    for _ in 0..4 {
        service.ready().await?.call(1).await?;
    }
    // The second one could not be, so the next call has asked again.
    assert_eq!(reserved(), [first, first + 1, first + 2]);
    Ok(())
}
