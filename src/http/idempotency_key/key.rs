use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use http::HeaderValue;

/// A new key: a random UUID (version 4) as a structured-field string, so with quotes
/// (draft-ietf-httpapi-idempotency-key-header-07, §2.1 and §2.2).
///
/// It is two values of SipHash, a pseudo-random function, whose secret of 128 bits std takes from the
/// system's random numbers once per process. So keys of two processes meet as rarely as two random
/// numbers of 122 bits do. The counter keeps the inputs in a process apart; its number and the time do
/// so for a forked process or a restored snapshot, which have the same secret and counter.
/// `fastrand`, with its state of 64 bits, would not be enough. It is unique, not secret.
pub(super) fn random() -> HeaderValue {
    static SECRET: OnceLock<RandomState> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let input = (count, std::process::id(), now.unwrap_or_default());
    let secret = SECRET.get_or_init(RandomState::new);
    uuid(
        secret.hash_one((0_u8, input)),
        secret.hash_one((1_u8, input)),
    )
}

fn uuid(high: u64, low: u64) -> HeaderValue {
    let high = high & !0xF000 | 0x4000; // version 4
    let low = low & !(0xC << 60) | 0x8 << 60; // the variant of RFC 9562
    let text = format!(
        "\"{:08x}-{:04x}-{:04x}-{:04x}-{:012x}\"",
        high >> 32,
        high >> 16 & 0xFFFF,
        high & 0xFFFF,
        low >> 48,
        low & 0xFFFF_FFFF_FFFF,
    );
    HeaderValue::try_from(text).expect("it is all ASCII")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn it_is_a_quoted_uuid_of_version_4() {
        assert_eq!(
            uuid(0x0123_4567_89AB_CDEF, 0x0123_4567_89AB_CDEF),
            "\"01234567-89ab-4def-8123-456789abcdef\""
        );
        assert_eq!(
            uuid(u64::MAX, u64::MAX),
            "\"ffffffff-ffff-4fff-bfff-ffffffffffff\""
        );
        assert_eq!(uuid(0, 0), "\"00000000-0000-4000-8000-000000000000\"");
    }

    #[test]
    fn no_two_are_equal_on_any_thread() {
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..5_000).map(|_| random()).collect::<Vec<_>>()))
            .collect();
        let keys = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        assert_eq!(keys.collect::<HashSet<_>>().len(), 20_000);
    }

    /// All bits but the fixed six vary.
    #[test]
    fn it_has_122_random_bits() {
        let bits = |key: HeaderValue| {
            let hex = key.to_str().unwrap().replace(['"', '-'], "");
            u128::from_str_radix(&hex, 16).unwrap()
        };
        let first = bits(random());
        let varied = (0..200).fold(0, |varied, _| varied | (first ^ bits(random())));
        assert_eq!(varied.count_ones(), 122);
    }
}
