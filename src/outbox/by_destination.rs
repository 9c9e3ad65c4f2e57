use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};

/// Hashes destinations. The one peer, which most services have, costs next to nothing; names are
/// hashed with a key, as ever.
#[derive(Debug, Clone, Default)]
pub(super) struct ByDestination(RandomState);

impl BuildHasher for ByDestination {
    type Hasher = OfDestination;

    #[inline]
    fn build_hasher(&self) -> OfDestination {
        OfDestination {
            key: self.0.clone(),
            name: None,
        }
    }
}

pub(super) struct OfDestination {
    key: RandomState,
    name: Option<DefaultHasher>,
}

impl Hasher for OfDestination {
    fn write(&mut self, bytes: &[u8]) {
        let key = &self.key;
        let name = self.name.get_or_insert_with(|| key.build_hasher());
        name.write(bytes);
    }

    /// Whether there is a name.
    #[inline]
    fn write_isize(&mut self, _: isize) {}

    #[inline]
    fn finish(&self) -> u64 {
        self.name.as_ref().map_or(0, Hasher::finish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Destination;

    #[test]
    fn names_have_hashes_of_their_own() {
        let by = ByDestination::default();
        let of = |destination: &Destination| by.hash_one(destination);
        let names = (0..1_000).map(|n| Destination::new(n.to_string()));
        let mut hashes: Vec<_> = names.map(|name| of(&name)).collect();
        hashes.push(of(&Destination::new("")));
        hashes.push(of(&Destination::default()));
        let number = hashes.len();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), number);
        assert_eq!(of(&Destination::new("a")), of(&Destination::new("a")));
        let other = ByDestination::default();
        let a = Destination::new("a");
        assert_ne!(of(&a), other.hash_one(&a), "another key");
    }
}
