//! Held requests in the order of their numbers.

use std::collections::{BTreeMap, VecDeque};

use super::Id;

/// A map whose keys mostly come in order, and mostly go in order. Joining at either end and leaving
/// from it is O(1), amortised; so is leaving from within if all numbers between the ends are here,
/// which is so while one destination alone is called (else it is a binary search). Those who join in
/// between, which are attempts that were in flight when the trouble began, pay O(log n) of their own
/// number.
pub(crate) struct Line<T> {
    /// Those who came in order. There is no gap at the ends.
    queue: VecDeque<(Id, Slot<T>)>,
    /// How many of the queue are no gap.
    taken: usize,
    /// Those who came when others from both sides of them were in the queue.
    late: BTreeMap<Id, T>,
}

enum Slot<T> {
    Taken(T),
    /// At either end of a gap, how many slots it has.
    Gap(usize),
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            taken: 0,
            late: BTreeMap::new(),
        }
    }
}

impl<T> Line<T> {
    pub(crate) fn len(&self) -> usize {
        self.taken + self.late.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn first(&self) -> Option<Id> {
        self.head().map(|(id, _)| id)
    }

    pub(crate) fn head(&self) -> Option<(Id, &T)> {
        self.iter().next()
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Id, &T)> {
        let mut at = 0;
        let queued = std::iter::from_fn(move || {
            loop {
                match self.queue.get(at)? {
                    (_, Slot::Gap(slots)) => at += slots,
                    (id, Slot::Taken(value)) => {
                        at += 1;
                        return Some((*id, value));
                    }
                }
            }
        });
        let mut queued = queued.peekable();
        let mut late = self.late.iter().map(|(id, value)| (*id, value)).peekable();
        std::iter::from_fn(move || match (queued.peek(), late.peek()) {
            (Some((one, _)), Some((other, _))) if other < one => late.next(),
            (None, _) => late.next(),
            _ => queued.next(),
        })
    }

    /// All of them, in no order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let queued = self.queue.iter_mut().filter_map(|(_, slot)| match slot {
            Slot::Taken(value) => Some(value),
            Slot::Gap(_) => None,
        });
        queued.chain(self.late.values_mut())
    }

    pub(crate) fn contains(&self, id: Id) -> bool {
        let queued = self.position(id).map(|at| &self.queue[at].1);
        matches!(queued, Some(Slot::Taken(_))) || self.late.contains_key(&id)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        match self.position(id).map(|at| &mut self.queue[at].1) {
            Some(Slot::Taken(value)) => Some(value),
            _ => self.late.get_mut(&id),
        }
    }

    /// It must not be here already.
    pub(crate) fn insert(&mut self, id: Id, value: T) {
        debug_assert!(!self.contains(id), "{id} is in line twice");
        let ends = self.queue.front().zip(self.queue.back());
        match ends.map(|((first, _), (last, _))| (*first, *last)) {
            Some((first, last)) if first <= id && id <= last => {
                self.late.insert(id, value);
                return;
            }
            ends => {
                if self.queue.len() == self.queue.capacity() {
                    self.queue.reserve_exact(4 + self.queue.len() / 2);
                }
                match ends.is_some_and(|(first, _)| id < first) {
                    true => self.queue.push_front((id, Slot::Taken(value))),
                    false => self.queue.push_back((id, Slot::Taken(value))),
                }
            }
        }
        self.taken += 1;
    }

    pub(crate) fn remove(&mut self, id: Id) -> Option<T> {
        let Some(at) = self.position(id).filter(|at| self.gap(*at).is_none()) else {
            return self.late.remove(&id);
        };
        // It is one gap with those beside it.
        let before = at.checked_sub(1).and_then(|at| self.gap(at)).unwrap_or(0);
        let after = self.gap(at + 1).unwrap_or(0);
        let slots = before + 1 + after;
        let removed = std::mem::replace(&mut self.queue[at].1, Slot::Gap(slots));
        self.queue[at - before].1 = Slot::Gap(slots);
        self.queue[at + after].1 = Slot::Gap(slots);
        self.taken -= 1;
        self.tidy();
        match removed {
            Slot::Taken(value) => Some(value),
            Slot::Gap(_) => None,
        }
    }

    fn gap(&self, at: usize) -> Option<usize> {
        match self.queue.get(at)?.1 {
            Slot::Gap(slots) => Some(slots),
            Slot::Taken(_) => None,
        }
    }

    /// Where in the queue a number is, or was.
    fn position(&self, id: Id) -> Option<usize> {
        let ((first, _), (last, _)) = self.queue.front().zip(self.queue.back())?;
        let to_last = usize::try_from(last.checked_sub(id)?).unwrap_or(usize::MAX);
        let to_first = usize::try_from(id.checked_sub(*first)?).unwrap_or(usize::MAX);
        // The numbers rise, so that it can't be farther from an end than they are apart.
        let mut end = (self.queue.len() - 1).min(to_first);
        let mut begin = (self.queue.len() - 1).saturating_sub(to_last);
        while begin < end {
            let middle = begin.midpoint(end);
            match self.queue[middle].0 < id {
                true => begin = middle + 1,
                false => end = middle,
            }
        }
        (self.queue[begin].0 == id).then_some(begin)
    }

    /// Takes away the gaps at the ends, all gaps if they are more than the rest, and the memory if it
    /// is far too much.
    fn tidy(&mut self) {
        if let Some(slots) = self.gap(0) {
            self.queue.drain(..slots);
        }
        if let Some(slots) = self.queue.len().checked_sub(1).and_then(|at| self.gap(at)) {
            self.queue.truncate(self.queue.len() - slots);
        }
        if self.queue.len() > 32 + 2 * self.taken {
            self.queue
                .retain(|(_, slot)| matches!(slot, Slot::Taken(_)));
        }
        if self.queue.capacity() > 32 + 4 * self.queue.len() {
            self.queue.shrink_to(2 * self.queue.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        /// The next number, so much later than the last.
        Join(u64),
        /// A number that may be anywhere.
        JoinLate(u64),
        /// The first, or one of the others.
        Leave(usize),
        Visit(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (1..4_u64).prop_map(Step::Join),
            1 => (0..200_u64).prop_map(Step::JoinLate),
            2 => Just(Step::Leave(0)),
            3 => any::<usize>().prop_map(Step::Leave),
            1 => any::<usize>().prop_map(Step::Visit),
        ]
    }

    proptest! {
        #[test]
        fn it_is_a_map_in_order(steps in prop::collection::vec(step(), 0..400)) {
            let mut line = Line::default();
            let mut model = BTreeMap::new();
            let mut last = 0;
            for (value, step) in steps.into_iter().enumerate() {
                let of = |at: usize| model.keys().nth(at % model.len().max(1)).copied();
                match step {
                    Step::Join(later) => {
                        last += later;
                        line.insert(last, value);
                        model.insert(last, value);
                    }
                    Step::JoinLate(id) if !model.contains_key(&id) => {
                        last = last.max(id);
                        line.insert(id, value);
                        model.insert(id, value);
                    }
                    Step::JoinLate(id) => prop_assert!(line.contains(id)),
                    Step::Leave(at) => {
                        let id = of(at).unwrap_or(7);
                        prop_assert_eq!(line.remove(id), model.remove(&id));
                        prop_assert_eq!(line.remove(id), None);
                        prop_assert!(!line.contains(id));
                    }
                    Step::Visit(at) => {
                        let id = of(at).unwrap_or(7);
                        prop_assert_eq!(line.get_mut(id), model.get_mut(&id));
                    }
                }
                prop_assert_eq!(line.len(), model.len());
                prop_assert_eq!(line.first(), model.keys().next().copied());
                let all = line.iter().map(|(id, value)| (id, *value));
                prop_assert!(all.eq(model.iter().map(|(id, value)| (*id, *value))));
                let values: BTreeSet<_> = line.values_mut().map(|value| *value).collect();
                prop_assert_eq!(values, model.values().copied().collect());
                prop_assert!(line.queue.len() <= 32 + 2 * line.taken);
                prop_assert!(line.queue.capacity() <= 32 + 4 * line.queue.len());
            }
        }
    }

    #[test]
    fn whoever_stays_at_the_head_does_not_keep_the_place_of_those_who_left() {
        let mut line = Line::default();
        line.insert(0, ());
        for id in 1..100_000 {
            line.insert(id, ());
            line.insert(id + 1_000_000, ());
            assert_eq!(line.remove(id), Some(()));
            assert_eq!(line.remove(id + 1_000_000), Some(()));
        }
        assert_eq!((line.len(), line.first()), (1, Some(0)));
        assert!(line.queue.capacity() <= 40);
    }
}
