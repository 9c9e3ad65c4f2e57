//! What the lives said, beside what the server has read.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::base::Arrival;
use super::child::{CALLS, DESTINATIONS, NUMBERS, Said};

/// After a kill, so many messages at most come a second time to a destination: those of one read from the
/// file (64) whose removal was not durable yet, those on their way (32), and calls.
pub(super) const AGAIN: usize = 64 + 32 + CALLS;

#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) deferred: usize,
    pub(super) answered: usize,
    /// Arrivals in a later life than the first one.
    pub(super) again_after_a_kill: usize,
    /// The most of them to one destination in one life.
    pub(super) most_after_one_kill: usize,
    /// Arrivals in the same life, over another connection.
    pub(super) again_in_a_life: usize,
    /// Lives that delivered some of what former ones had left, and left some of it.
    pub(super) killed_while_draining: usize,
    /// A call's own attempt was under way when its connection broke, and a later message of that life
    /// came before it: nobody could know of the break before it was heard of.
    pub(super) overtaken: usize,
}

/// The lives in which a message arrived, and the connections.
type Came = HashMap<u64, Vec<(u32, usize)>>;

/// Panics if anything was lost, or came in a wrong order, or twice without a reason.
pub(super) fn count(said: &[Said], arrivals: &[Arrival]) -> Count {
    let mut count = Count::default();
    let mut told: HashMap<u64, Said> = HashMap::new();
    for said in said {
        let Some(number) = said.number() else {
            continue;
        };
        assert_eq!(told.insert(number, *said), None, "each call ends once");
        match said {
            Said::Answered(_) => count.answered += 1,
            _ => count.deferred += 1,
        }
    }
    let mut came = Came::new();
    for arrival in arrivals {
        let Arrival { life, number, .. } = *arrival;
        assert_eq!(number % DESTINATIONS, u64::from(arrival.to));
        let came = came.entry(number).or_default();
        let this = (life, arrival.connection);
        assert!(!came.contains(&this), "{number}: twice in one connection");
        came.push(this);
    }
    let lost = told.iter().filter(|(number, _)| !came.contains_key(number));
    assert_eq!(lost.count(), 0, "lost");
    for (number, _) in told.iter().filter(|of| matches!(of.1, Said::Answered(_))) {
        let mut lives = came[number].iter().map(|(life, _)| *life);
        assert!(lives.all(|life| life == life_of(*number)), "{number}");
    }
    count.overtaken = overtaken(&told, arrivals);
    count.killed_while_draining = killed_while_draining(&came);
    count_again(&came, &mut count);
    count
}

fn life_of(number: u64) -> u32 {
    (number / NUMBERS) as u32
}

/// Only of those that were told: of others something may be in the buffer of a connection whose process is
/// dead.
fn overtaken(told: &HashMap<u64, Said>, arrivals: &[Arrival]) -> usize {
    let mut overtaken = 0;
    let mut arrived = HashSet::new();
    // The number, and the life in which it arrived.
    let mut last = [(0, 0); DESTINATIONS as usize];
    for arrival in arrivals {
        let Arrival { life, number, .. } = *arrival;
        let Some(said) = told.get(&number).filter(|_| arrived.insert(number)) else {
            continue;
        };
        let last = &mut last[usize::from(arrival.to)];
        if last.0 <= number {
            *last = (number, life);
            continue;
        }
        // What had no attempt when it was deferred is never passed, nor is anything after a restart.
        let had_attempt = !matches!(said, Said::Deferred(_));
        let own = life_of(number);
        let together = had_attempt && (own, own) == (life_of(last.0), last.1);
        assert!(together, "{said:?} came after {:?}", told[&last.0]);
        overtaken += 1;
    }
    overtaken
}

fn count_again(came: &Came, count: &mut Count) {
    let mut after: BTreeMap<(u32, u64), usize> = BTreeMap::new();
    for (number, came) in came {
        let mut seen: Vec<u32> = Vec::new();
        for (life, _) in came {
            match seen.contains(life) {
                true => count.again_in_a_life += 1,
                false if seen.is_empty() => {}
                false => *after.entry((*life, number % DESTINATIONS)).or_default() += 1,
            }
            seen.push(*life);
        }
    }
    count.again_after_a_kill = after.values().sum();
    count.most_after_one_kill = after.into_values().max().unwrap_or(0);
}

fn killed_while_draining(came: &Came) -> usize {
    let mut drained: HashSet<u32> = HashSet::new();
    let mut left: HashSet<u32> = HashSet::new();
    for (number, came) in came {
        let (own, first) = (life_of(*number), came[0].0);
        if first > own {
            drained.insert(first);
            // Those in between had it in their file, too.
            left.extend(own + 1..first);
        }
    }
    drained.intersection(&left).count()
}
