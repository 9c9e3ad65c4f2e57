//! What the system's errors are on real networks, and what is made of them.

pub(crate) mod descriptors;

use libtest_mimic::Trial;

pub(crate) fn all() -> Vec<Trial> {
    vec![]
}
