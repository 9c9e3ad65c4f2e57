//! Random chains of errors: classification ends, and makes no proof up.
//!
//! ```console
//! cargo +nightly fuzz run classify -- -max_total_time=60
//! ```
//!
//! The same generator is run on stable, with the rest of the rules, by `tests/classify/chains.rs`.

#![no_main]
#![allow(dead_code)] // what only the tests need of these two

#[path = "../../tests/classify/generator.rs"]
mod generator;
#[path = "../../tests/classify/wrappings.rs"]
mod wrappings;

use libfuzzer_sys::fuzz_target;
use tower_conn_retry::{Sent, classify};

use generator::Layer;

fuzz_target!(|bytes: &[u8]| {
    let [kind, code, layers @ ..] = bytes else {
        return;
    };
    // Deeper ones overflow the stack when they are dropped, which is std's doing.
    let layers: Vec<_> = layers.iter().take(500).map(|&byte| Layer::of(byte)).collect();
    let (leaf, mut proved) = generator::leaf(*kind, *code);
    proved |= layers.iter().any(|layer| layer.is_proof());
    let error = layers.iter().fold(leaf, |error, layer| layer.wrap(error));
    match classify(&*error) {
        Some(found) => assert!(found.sent() == Sent::Maybe || proved, "{found:?}"),
        None => assert!(!layers.contains(&Layer::Connect) || layers.len() > 20),
    }
});
