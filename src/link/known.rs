use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Destination;

/// Remembers which destinations have worked (rule 14), by their hashes, in a fixed space and without
/// a lock.
///
/// Each hash has a few slots that it shares with others, one cache line. Only a client that talks to
/// several hundred destinations forgets some of them, and may then believe a permanent error of
/// one. The other way round is as good as impossible.
pub(crate) struct Known {
    /// The one peer, which most services have.
    peer: AtomicBool,
    sets: [[AtomicU64; Self::WAYS]; Self::SETS],
}

impl Known {
    const SETS: usize = 128;
    const WAYS: usize = 8;

    pub(crate) fn new() -> Self {
        Self {
            peer: AtomicBool::new(false),
            sets: [const { [const { AtomicU64::new(0) }; Self::WAYS] }; Self::SETS],
        }
    }

    /// The destination of this hash has worked. Writes only if that is news.
    #[inline]
    pub(crate) fn learn(&self, hash: u64) {
        if hash == Destination::PEER_HASH {
            if !self.peer.load(Ordering::Relaxed) {
                self.peer.store(true, Ordering::Relaxed);
            }
        } else if !self.contains(hash) {
            self.learn_named(hash);
        }
    }

    #[cold]
    fn learn_named(&self, hash: u64) {
        let set = self.set(hash);
        let free = set.iter().find(|slot| slot.load(Ordering::Relaxed) == 0);
        // The upper bits: the lower ones chose the set.
        let slot = free.unwrap_or(&set[(hash >> 61) as usize]);
        slot.store(hash, Ordering::Relaxed);
    }

    pub(crate) fn contains(&self, hash: u64) -> bool {
        if hash == Destination::PEER_HASH {
            return self.peer.load(Ordering::Relaxed);
        }
        let mut set = self.set(hash).iter();
        hash != 0 && set.any(|slot| slot.load(Ordering::Relaxed) == hash)
    }

    #[inline]
    fn set(&self, hash: u64) -> &[AtomicU64; Self::WAYS] {
        &self.sets[hash as usize % Self::SETS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_learned_is_known() {
        let known = Known::new();
        let hashes = || (1..100u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        assert!(!hashes().any(|hash| known.contains(hash)) && !known.contains(0));
        hashes().step_by(2).for_each(|hash| known.learn(hash));
        assert!(
            hashes()
                .skip(1)
                .step_by(2)
                .all(|hash| !known.contains(hash))
        );
        let last = hashes().step_by(2).last();
        assert!(last.is_some_and(|hash| known.contains(hash)));
    }

    #[test]
    fn hundreds_are_known_at_once() {
        let known = Known::new();
        let hashes = || (0..300).map(|n| crate::Destination::new(format!("host-{n}")).hash64());
        hashes().for_each(|hash| known.learn(hash));
        let forgotten = hashes().filter(|hash| !known.contains(*hash)).count();
        assert_eq!(forgotten, 0);
    }

    #[test]
    fn there_is_always_room_for_the_last() {
        let known = Known::new();
        for n in 0..100_000 {
            let hash = crate::Destination::new(format!("host-{n}")).hash64();
            known.learn(hash);
            assert!(known.contains(hash));
        }
    }
}
