//! What the fuzz target does, for a bounded time and on any compiler.

use bytes::Bytes;
use tower_conn_retry::outbox::{Codec, HttpCodec, Json};

/// Decodes, and whatever can be decoded can be stored again and stays the same.
fn decode(bytes: &[u8]) -> usize {
    let mut decoded = 0;
    if let Ok(request) = Codec::<http::Request<Bytes>>::decode(&HttpCodec, bytes) {
        let mut again = Vec::new();
        HttpCodec.encode(&request, &mut again).unwrap();
        let back: http::Request<Bytes> = HttpCodec.decode(&again).unwrap();
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
        decoded += 1;
    }
    if let Ok(request) = Codec::<reqwest::Request>::decode(&HttpCodec, bytes) {
        let mut again = Vec::new();
        HttpCodec.encode(&request, &mut again).unwrap();
        let back: reqwest::Request = HttpCodec.decode(&again).unwrap();
        assert_eq!(format!("{back:?}"), format!("{request:?}"));
        decoded += 1;
    }
    if Codec::<Vec<String>>::decode(&Json, bytes).is_ok() {
        decoded += 1;
    }
    decoded
}

#[test]
fn no_bytes_make_a_codec_panic() {
    let request = http::Request::post("https://u:p@robot.example/a?b=c")
        .header("x", "1")
        .header("x", "2")
        .header("authorization", "secret")
        .body(Bytes::from_static(b"hello"))
        .unwrap();
    let mut http = Vec::new();
    HttpCodec.encode(&request, &mut http).unwrap();
    let mut own = Vec::new();
    HttpCodec
        .encode(&reqwest::Request::try_from(request).unwrap(), &mut own)
        .unwrap();
    let json = br#"["a","b\n"]"#.to_vec();
    let mut random = fastrand::Rng::with_seed(1);
    let mut decoded = 0;
    for seed in [http, own, json] {
        for end in 0..=seed.len() {
            decode(&seed[..end]);
        }
        for _ in 0..20_000 {
            let mut bytes = seed.clone();
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..bytes.len());
                match random.u8(..3) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes[at] ^= 1 << random.u32(..8),
                    _ => drop(bytes.splice(at..at, (0..4).map(|_| random.u8(..)))),
                }
            }
            decoded += decode(&bytes);
        }
    }
    assert!(decoded > 1_000, "hardly anything got through: {decoded}");
}
