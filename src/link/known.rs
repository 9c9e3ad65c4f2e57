use std::sync::atomic::{AtomicU64, Ordering};

/// Remembers which destinations have worked (rule 14), by their hashes, in a fixed space and without
/// a lock.
///
/// Each hash has one slot; the destination that worked last in a slot is remembered. So a client
/// that talks to more than a few hundred destinations forgets some of them, and may then believe
/// a permanent error of one. The other way round is as good as impossible.
pub(crate) struct Known([AtomicU64; Self::SLOTS]);

impl Known {
    const SLOTS: usize = 512;

    pub(crate) fn new() -> Self {
        Self([const { AtomicU64::new(0) }; Self::SLOTS])
    }

    /// The destination of this hash has worked. Writes only if that is news.
    #[inline]
    pub(crate) fn learn(&self, hash: u64) {
        let slot = self.slot(hash);
        if slot.load(Ordering::Relaxed) != hash {
            slot.store(hash, Ordering::Relaxed);
        }
    }

    pub(crate) fn contains(&self, hash: u64) -> bool {
        hash != 0 && self.slot(hash).load(Ordering::Relaxed) == hash
    }

    #[inline]
    fn slot(&self, hash: u64) -> &AtomicU64 {
        &self.0[hash as usize % Self::SLOTS]
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
}
