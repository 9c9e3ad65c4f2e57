//! Any bytes as an outbox's file, as changes to a good one, and as what its codecs decode: an error or something
//! that can be read, never a panic that gets out. `tests/outbox_disk/damage.rs` and `fuzz.rs` are the
//! bounded form of it.

#![no_main]

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tower_conn_retry::Destination;
use tower_conn_retry::outbox::{
    Changes, Codec, DiskStore, HttpCodec, Json, Message, Raw, Store, Ticket,
};

fuzz_target!(|bytes: &[u8]| {
    let _ = Codec::<http::Request<Bytes>>::decode(&HttpCodec, bytes);
    let _ = Codec::<reqwest::Request>::decode(&HttpCodec, bytes);
    let _ = Codec::<Vec<String>>::decode(&Json, bytes);

    // The engine's panics are errors, but the fuzzer's hook would end the process at the first.
    std::panic::set_hook(Box::new(|_| {}));
    let path = std::env::temp_dir().join(format!("fuzz-{}.outbox", std::process::id()));
    look(&path, bytes);
    let mut file = good(&path).to_vec();
    for change in bytes.chunks_exact(4) {
        let at = u32::from_le_bytes([change[0], change[1], change[2], 0]) as usize;
        let at = at % file.len();
        file[at] = change[3];
    }
    look(&path, &file);
    let _ = std::fs::remove_file(path);
});

fn look(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("room for the file");
    let Ok(mut store) = DiskStore::<Bytes, Raw>::open(path, Raw) else {
        return;
    };
    let contents = store.contents().expect("it was opened");
    for (destination, len, _) in contents.destinations {
        let mut shown = 0;
        let read = store.read(&destination, None, usize::MAX, &mut |_, _| shown += 1);
        assert!(read.is_err() || shown == len, "{shown} shown of {len}");
    }
}

/// A file with some messages.
fn good(path: &Path) -> &'static [u8] {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    GOOD.get_or_init(|| {
        std::fs::write(path, b"").expect("room for the file");
        let mut store = DiskStore::<Bytes, Raw>::open(path, Raw).expect("a new file");
        let put = (0..20).map(|ticket| Message {
            ticket: Ticket::new(ticket),
            destination: Destination::default(),
            request: Bytes::from_static(b"hello"),
            size: 5,
            since: Duration::ZERO,
            attempts: 1,
            maybe_sent: false,
            max_age: None,
        });
        let changes = Changes {
            put: put.collect(),
            remove: vec![],
            clock: Duration::ZERO,
        };
        store.commit(changes).expect("a commit");
        drop(store);
        std::fs::read(path).expect("the file")
    })
}
