//! Tests that every [`Store`] has to pass.

mod check;
mod model;

use std::cell::RefCell;
use std::time::Duration;

use bytes::Bytes;

use super::{Changes, Message, Store, Ticket};
use crate::{BoxError, Destination};
use check::Checked;

/// Whether messages outlive their store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// They end with it.
    Memory,
    /// They are there when it is opened again.
    Durable,
}

/// Tests an implementation of [`Store`]. Call it from a test of yours.
///
/// `open` is called with a name that tells the tests apart. It opens the store of this name: a new
/// one at first, and, if it is durable, the same one each time after that. The one before has been dropped
/// then: what is written only when a store is dropped is found by [`test_store_killed`].
///
/// It stores messages of up to 12 MiB, 5,000 at once, destinations with names of 2,000 bytes, and
/// tickets of 64 bits. It provokes no errors: that a commit that fails changes nothing is for you to test.
///
/// ```
/// use tower_conn_retry::outbox::{Durability, MemoryStore, test_store};
///
/// test_store(Durability::Memory, |_name| MemoryStore::new());
/// ```
///
/// # Panics
///
/// The store does something wrong; the text says what. A store whose methods fail is wrong, too.
pub fn test_store<S: Store<Bytes>>(durability: Durability, mut open: impl FnMut(&str) -> S) {
    let mut test = |name: &str, run: fn(&mut Checked<'_, S>)| {
        let mut open = || open(name);
        let mut checked = Checked::new(name, durability, &mut open);
        run(&mut checked);
        checked.reopen();
    };
    test("a new store is empty", |store| store.check());
    test("order is of tickets", order_is_of_tickets);
    test("put and removed at once", |store| {
        store.commit([put("a", 0, 1), put("a", 1, 2)], [], 5);
        store.commit([put("a", 2, 3)], [at("a", 0), at("a", 2)], 6);
    });
    test("what is not there is none the less gone", |store| {
        store.commit([], [at("a", 0)], 0);
        store.commit([put("a", 3, 1)], [at("a", 2), at("a", 4), at("b", 3)], 0);
        store.commit([], [at("a", 3), at("a", 3)], 0);
        store.commit([], [at("a", 3)], 0);
    });
    test("tickets are not given twice", |store| {
        store.commit([put("a", 41, 1)], [], 0);
        store.commit([], [at("a", 41)], 1);
        store.reopen();
        assert_eq!(store.next(), 42, "`next` is above all tickets ever stored");
    });
    test("destinations are apart", destinations_are_apart);
    test("removals of one destination", removals_of_one_destination);
    test("sizes", sizes);
    test("everything about a message is kept", everything_is_kept);
    test("many destinations", many_destinations);
    test("many messages", many_messages);
    test("long names", long_names);
    test("large tickets", large_tickets);
    test("a queue that goes round", a_queue_that_goes_round);
    for seed in 0..16 {
        test(&format!("model {seed}"), |store| model::run(store));
    }
}

/// Tests that an implementation of [`Store`] that is durable needs no good end: that what it has
/// committed is there although the process is killed. Call it from a test of yours, beside [`test_store`].
///
/// `open` opens a store by its name, as there. `copy` makes the store of the second name what another
/// process would find of the first one if this process was killed now: it copies the files, say. The store of
/// the first name is open then, and is not dropped before. The second one is opened after that.
///
/// ```
/// # #[cfg(feature = "outbox-disk")] {
/// use tower_conn_retry::outbox::{DiskStore, Raw, test_store_killed};
///
/// let directory = std::env::temp_dir().join(format!("doc-killed-{}", std::process::id()));
/// std::fs::create_dir_all(&directory).unwrap();
/// let file = |name: &str| directory.join(name);
/// let copy = |from: &str, to: &str| {
///     std::fs::copy(file(from), file(to)).unwrap();
/// };
/// test_store_killed(|name| DiskStore::open(file(name), Raw).unwrap(), copy);
/// # std::fs::remove_dir_all(directory).unwrap();
/// # }
/// ```
///
/// # Panics
///
/// Something that was committed is not there, or something else is wrong; the text says what.
pub fn test_store_killed<S: Store<Bytes>>(
    open: impl FnMut(&str) -> S,
    mut copy: impl FnMut(&str, &str),
) {
    let name = "killed";
    let open = RefCell::new(open);
    let mut open_first = || open.borrow_mut()(name);
    let mut store = Checked::new(name, Durability::Durable, &mut open_first);
    let mut kills = 0;
    let mut killed = || {
        kills += 1;
        let other = format!("{name} {kills}");
        copy(name, &other);
        open.borrow_mut()(&other)
    };
    for ticket in 0..8_u64 {
        let gone = ticket.checked_sub(3).map(|gone| at("a", gone));
        let puts = [put("a", 2 * ticket, 100), put("b", 2 * ticket + 1, 5_000)];
        store.commit(puts, gone, ticket);
        store.check_copy(killed());
    }
    store.commit([], [at("b", 1), at("b", 3)], 8);
    store.check_copy(killed());
}

fn order_is_of_tickets<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    let puts = [5, 3, 9, 4].map(|ticket| put("a", ticket, 1));
    store.commit(puts, [], 0);
    store.commit([put("a", 6, 1)], [], 0);
    store.commit(
        [put("a", 0, 1), put("a", 1 << 40, 1), put("a", 255, 1)],
        [],
        0,
    );
    store.commit([put("a", 256, 1)], [at("a", 4)], 0);
}

fn destinations_are_apart<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    let peer = Message {
        destination: Destination::default(),
        ..put("", 0, 1)
    };
    let names = ["the peer", "", "\0", "a", "a\0", "b", "à", "A"];
    let mut puts = vec![peer];
    for (ticket, name) in (1..).zip(names) {
        puts.push(put(name, ticket, 1));
    }
    store.commit(puts, [], 0);
    store.reopen();
    store.commit([], [(Destination::default(), Ticket::new(1))], 0);
    store.commit([], [(Destination::default(), Ticket::new(0))], 0);
    store.commit([], [at("", 2)], 0);
    store.commit([], [at("a", 4)], 0);
}

fn removals_of_one_destination<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    let [a, b] = ["a", "b"].map(Destination::new);
    let puts = (0..60).map(|ticket| put(if ticket % 3 == 0 { "b" } else { "a" }, ticket, 1));
    store.commit(puts.collect::<Vec<_>>(), [], 0);
    store.remove(&a, [], 1);
    store.remove(&a, [1, 2, 4, 5], 2); // the first
    store.remove(&a, [7, 10, 8, 41, 41, 42, 1_000], 3); // some, one twice, and some not there
    store.remove(&Destination::new("nobody"), [3], 4);
    store.reopen();
    store.remove(&b, 0..60, 5);
    store.remove(&a, 0..60, 6);
}

fn sizes<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    for (ticket, len) in (0..).zip([0, 1, 255, 4_096, 65_537, 1 << 20, 12 << 20]) {
        store.commit([put("a", ticket, len)], [], 0);
    }
    store.reopen();
    for ticket in 0..7 {
        store.commit([], [at("a", ticket)], 0);
    }
}

fn everything_is_kept<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    let mut message = put("a", 0, 3);
    message.since = Duration::from_nanos(u64::MAX);
    message.attempts = u32::MAX;
    message.maybe_sent = true;
    message.max_age = Some(Duration::from_nanos(u64::MAX));
    message.size = 0;
    let other = Message {
        ticket: Ticket::new(1),
        size: 1 << 30,
        maybe_sent: false,
        max_age: None,
        attempts: 0,
        ..message.clone()
    };
    store.commit([message, other], [], u64::MAX);
    store.reopen();
    store.commit([], [at("a", 0)], 1); // the clock is what was said last
}

fn many_destinations<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    let name = |n: u64| format!("https://{n}.example");
    let puts = (0..500).map(|n| put(&name(n), n, 1));
    store.commit(puts.collect::<Vec<_>>(), [], 0);
    store.reopen();
    let removes = (0..500).filter(|n| n % 3 > 0);
    let removes = removes.map(|n| at(&name(n), n));
    store.commit([], removes.collect::<Vec<_>>(), 0);
}

fn many_messages<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    let puts = (0..5_000).map(|ticket| put("a", ticket, 10));
    store.commit(puts.collect::<Vec<_>>(), [], 0);
    store.reopen();
    let removes = (0..4_990).map(|ticket| at("a", ticket));
    store.commit([], removes.collect::<Vec<_>>(), 0);
}

fn long_names<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    let long = "n".repeat(2_000);
    let names = ["", "a", "b"].map(|end| format!("{long}{end}"));
    let puts = (0..).zip(&names).map(|(ticket, name)| put(name, ticket, 1));
    store.commit(puts.collect::<Vec<_>>(), [], 0);
    store.reopen();
    store.commit([], [at(&names[1], 1)], 0);
}

fn large_tickets<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    let tickets = [u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 53, 1 << 32, 1];
    store.commit(tickets.map(|ticket| put("a", ticket, 1)), [], 0);
    store.reopen();
    store.commit([], [at("a", u64::MAX - 1), at("a", 1 << 63)], 0);
}

fn a_queue_that_goes_round<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    for ticket in 0..200_u64 {
        let remove = ticket.checked_sub(10).map(|gone| at("a", gone));
        store.commit([put("a", ticket, 64)], remove, ticket);
    }
}

/// Bytes that tell each message from others.
fn put(destination: &str, ticket: u64, len: usize) -> Message<Bytes> {
    // They repeat after so many.
    const PERIOD: usize = 1 << 16;
    let bytes = (0..len.min(PERIOD) as u64).map(|at| ((at * 31) ^ ticket ^ (at >> 8)) as u8);
    let mut bytes = bytes.collect::<Vec<_>>().repeat(len.div_ceil(PERIOD));
    bytes.truncate(len);
    Message {
        ticket: Ticket::new(ticket),
        destination: Destination::new(destination),
        request: bytes.into(),
        size: len + 8,
        since: Duration::from_millis(ticket & 0xFFFF),
        attempts: (ticket % 5) as u32,
        maybe_sent: ticket % 2 == 1,
        max_age: (ticket % 3 == 1).then_some(Duration::from_nanos(ticket)),
    }
}

fn at(destination: &str, ticket: u64) -> (Destination, Ticket) {
    (Destination::new(destination), Ticket::new(ticket))
}
