use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use super::put::Put;
use super::shared::{Attached, Settings, Shared};
use super::{Changes, Contents, Message, Store, Ticket};
use crate::config::Config;
use crate::link::Table;
use crate::{BoxError, Destination, Limits, WhenFull};

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
        let (_, all_open) = self.table.get().ok_or("not layered")?.enter();
        let mut seen = self.went_directly.lock().map_err(|_| "poisoned")?;
        seen.push(all_open);
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
    let (number, all_open) = links.enter();
    assert!(all_open);
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
