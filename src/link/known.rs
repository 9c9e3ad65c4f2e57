use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Destination;
use crate::request::Spelling;

/// Remembers which destinations have worked (rule 14), by their hashes, in a fixed space and without
/// a lock.
///
/// Each hash has a few slots that it shares with others, one cache line. Only a client that talks to
/// several hundred destinations forgets some of them, and may then believe a permanent error of
/// one. The other way round is as good as impossible.
pub(crate) struct Known {
    /// The one peer, which most services have.
    peer: AtomicBool,
    /// The first that has a spelling, which is the only one that most others have: it is known again
    /// without its hash, and never forgotten.
    first: OnceLock<First>,
    /// Somebody writes that, and nobody else may, so that nobody waits for it.
    first_claimed: AtomicBool,
    sets: [[AtomicU64; Self::WAYS]; Self::SETS],
}

impl Known {
    const SETS: usize = 128;
    const WAYS: usize = 8;

    pub(crate) fn new() -> Self {
        Self {
            peer: AtomicBool::new(false),
            first: OnceLock::new(),
            first_claimed: AtomicBool::new(false),
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

    /// The first destination is spelled so: it has worked.
    #[inline(always)]
    pub(crate) fn is_first(&self, spelling: Spelling<'_>) -> bool {
        self.first.get().is_some_and(|first| first.is(spelling))
    }

    /// The destination of this hash has worked, and is spelled so.
    pub(crate) fn learn_spelled(&self, hash: u64, spelling: Spelling<'_>) {
        self.learn(hash);
        if !self.first_claimed.load(Ordering::Relaxed) {
            if let Some(first) = First::new(hash, spelling) {
                if !self.first_claimed.swap(true, Ordering::Relaxed) {
                    let _ = self.first.set(first);
                }
            }
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
        if self.first.get().is_some_and(|first| first.hash == hash) {
            return true;
        }
        let mut set = self.set(hash).iter();
        hash != 0 && set.any(|slot| slot.load(Ordering::Relaxed) == hash)
    }

    #[inline]
    fn set(&self, hash: u64) -> &[AtomicU64; Self::WAYS] {
        &self.sets[hash as usize % Self::SETS]
    }
}

/// A destination, and how it is spelled. Nothing is allocated for it.
struct First {
    hash: u64,
    secure: bool,
    authority: Text,
    /// How its URLs begin, with the slash after the authority.
    url: Text,
}

impl First {
    /// Unless it is too long, or has credentials, which are nothing to be kept.
    fn new(hash: u64, spelling: Spelling<'_>) -> Option<Self> {
        let (secure, authority) = spelling.parts()?;
        if authority.contains('@') {
            return None;
        }
        let scheme = if secure { "https://" } else { "http://" };
        Some(Self {
            hash,
            secure,
            authority: Text::new(&[authority])?,
            url: Text::new(&[scheme, authority, "/"])?,
        })
    }

    #[inline(always)]
    fn is(&self, spelling: Spelling<'_>) -> bool {
        match spelling {
            Spelling::Url(url) => self.url.begins(url.as_bytes()),
            Spelling::Parts { secure, authority } => {
                self.secure == secure && self.authority.is(authority.as_bytes())
            }
        }
    }
}

/// Longer than a name may be.
struct Text {
    len: usize,
    bytes: [u8; 256],
}

impl Text {
    fn new(parts: &[&str]) -> Option<Self> {
        let (mut bytes, mut len) = ([0; 256], 0);
        for part in parts {
            let end = len + part.len();
            bytes.get_mut(len..end)?.copy_from_slice(part.as_bytes());
            len = end;
        }
        Some(Self { len, bytes })
    }

    #[inline(always)]
    fn is(&self, bytes: &[u8]) -> bool {
        // Few authorities are longer than that, and so there is nothing to call.
        match bytes.len() {
            len if len != self.len => false,
            16..=32 => same_ends::<16>(self.bytes(), bytes),
            8..=15 => same_ends::<8>(self.bytes(), bytes),
            _ => self.bytes() == bytes,
        }
    }

    #[inline(always)]
    fn begins(&self, bytes: &[u8]) -> bool {
        bytes.get(..self.len).is_some_and(|bytes| self.is(bytes))
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Of what is not longer than both ends, which may overlap, that is all.
#[inline]
fn same_ends<const N: usize>(one: &[u8], other: &[u8]) -> bool {
    one.first_chunk::<N>() == other.first_chunk() && one.last_chunk::<N>() == other.last_chunk()
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
    fn the_first_is_known_by_its_spelling_and_never_forgotten() {
        let known = Known::new();
        let parts = |authority, secure| Spelling::Parts { secure, authority };
        let hash = |n: u64| n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let long = "a".repeat(256);
        let not_kept = [
            parts("u:p@robot", false),
            parts(&long, false),
            Spelling::Url("http://u:p@robot/"),
            Spelling::Url("mailto:robot"),
            Spelling::Url("ftp://robot/"),
        ];
        for spelling in not_kept {
            known.learn_spelled(hash(1), spelling);
            assert!(known.contains(hash(1)) && !known.is_first(spelling));
        }
        known.learn_spelled(hash(2), Spelling::Url("http://robot:8080/rooms"));
        known.learn_spelled(hash(3), parts("other:8080", false));
        assert!(known.contains(hash(2)) && known.contains(hash(3)));
        assert!(known.is_first(parts("robot:8080", false)));
        assert!(known.is_first(Spelling::Url("http://robot:8080/")));
        for (authority, secure) in [
            ("robot:8080", true),
            ("other:8080", false),
            ("robot:808", false),
            ("robot:80800", false),
            ("Robot:8080", false),
            ("", false),
        ] {
            assert!(!known.is_first(parts(authority, secure)), "{authority}");
            let scheme = if secure { "https" } else { "http" };
            let url = format!("{scheme}://{authority}/");
            assert!(!known.is_first(Spelling::Url(&url)), "{url}");
        }
        for url in [
            "http://robot:8080@other/",
            "http://robot:8080",
            "http://u@robot:8080/",
        ] {
            assert!(!known.is_first(Spelling::Url(url)), "{url}");
        }
        (4..100_000).for_each(|n| known.learn(hash(n)));
        assert!(!known.contains(hash(3)) && known.contains(hash(2)));
    }

    #[test]
    fn each_byte_of_a_spelling_counts() {
        fn parts(authority: &str) -> Spelling<'_> {
            let secure = true;
            Spelling::Parts { secure, authority }
        }
        for len in 1..=64 {
            let (known, first) = (Known::new(), "a".repeat(len));
            known.learn_spelled(7, parts(&first));
            assert!(known.is_first(parts(&first)));
            for at in 0..len {
                let mut other = first.clone();
                other.replace_range(at..=at, "b");
                assert!(!known.is_first(parts(&other)), "{other}");
                assert!(!known.is_first(parts(&first[at + 1..])), "{len}, {at}");
            }
            let url = format!("https://{first}/");
            assert!(known.is_first(Spelling::Url(&format!("{url}b"))));
            for at in 0..url.len() {
                let mut other = format!("{url}b");
                other.replace_range(at..=at, "c");
                assert!(!known.is_first(Spelling::Url(&other)), "{other}");
                assert!(!known.is_first(Spelling::Url(&url[..at])), "{len}, {at}");
            }
        }
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
