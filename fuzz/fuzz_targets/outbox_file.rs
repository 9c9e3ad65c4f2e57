//! Any bytes as an outbox's file, and as what its codecs decode: an error or something that can be read, never a
//! panic that gets out. The seeds are files of a few messages: `tests/outbox_disk/damage.rs` has the
//! bounded form of it.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tower_conn_retry::outbox::{Codec, DiskStore, HttpCodec, Json, Raw, Store};

fuzz_target!(|bytes: &[u8]| {
    let _ = Codec::<http::Request<Bytes>>::decode(&HttpCodec, bytes);
    let _ = Codec::<reqwest::Request>::decode(&HttpCodec, bytes);
    let _ = Codec::<Vec<String>>::decode(&Json, bytes);

    // The engine's panics are errors here, but the fuzzer's hook would end the process at the first.
    std::panic::set_hook(Box::new(|_| {}));
    let path = std::env::temp_dir().join(format!("fuzz-{}.outbox", std::process::id()));
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    let Ok(mut store) = DiskStore::<Bytes, Raw>::open(&path, Raw) else {
        return;
    };
    let contents = store.contents().expect("it was opened");
    for (destination, len, _) in contents.destinations {
        let mut shown = 0;
        let read = store.read(&destination, None, usize::MAX, &mut |_, _| shown += 1);
        assert!(read.is_err() || shown == len, "{shown} shown of {len}");
    }
});
