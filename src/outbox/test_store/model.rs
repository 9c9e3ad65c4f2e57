use bytes::Bytes;

use super::check::Checked;
use super::{Destination, Store, Ticket, put};

/// Some hundred commits, drawn at random as an outbox makes them: tickets nearly in order, removals
/// mostly of the oldest.
pub(super) fn run<S: Store<Bytes>>(store: &mut Checked<'_, S>) {
    let seed = store.name().bytes().fold(7, |seed: u64, byte| {
        seed.wrapping_mul(31).wrapping_add(byte.into())
    });
    let mut random = fastrand::Rng::with_seed(seed);
    let destinations = [None, Some(""), Some("the peer"), Some("a"), Some("b")];
    let destinations =
        destinations.map(|name| name.map_or_else(Destination::default, Destination::new));
    let mut next = 0;
    for clock in 0..random.u64(1..60) {
        let mut tickets: Vec<u64> = (next..next + random.u64(0..8)).collect();
        next += tickets.len() as u64 + random.u64(0..2);
        if random.u8(..4) == 0 {
            random.shuffle(&mut tickets);
        }
        let puts = tickets.into_iter().map(|ticket| {
            let mut message = put("", ticket, random.usize(..200));
            message.destination = pick(&mut random, &destinations);
            message
        });
        let puts: Vec<_> = puts.collect();
        let removes = (0..random.usize(..8)).map(|_| {
            let destination = pick(&mut random, &destinations);
            let there = store.tickets(&destination);
            let ticket = match (random.u8(..8), there.first()) {
                (0..6, Some(oldest)) => *oldest,
                (6, Some(_)) => there[random.usize(..there.len())],
                _ => Ticket::new(random.u64(..next + 2)),
            };
            (destination, ticket)
        });
        let removes: Vec<_> = removes.collect();
        store.commit(puts, removes, clock);
        if random.u8(..10) == 0 {
            store.reopen();
        }
    }
}

fn pick(random: &mut fastrand::Rng, destinations: &[Destination]) -> Destination {
    destinations[random.usize(..destinations.len())].clone()
}
