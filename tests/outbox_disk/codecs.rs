use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tower_conn_retry::outbox::{Codec, HttpCodec, Json, Raw};

fn round<Req>(codec: &impl Codec<Req>, request: &Req) -> Req {
    let mut bytes = Vec::new();
    codec.encode(request, &mut bytes).unwrap();
    codec.decode(&bytes).unwrap()
}

fn method() -> impl Strategy<Value = http::Method> {
    let known = prop::sample::select(vec!["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]);
    let own = "[A-Za-z!#$%&'*+.^_`|~-]{1,40}";
    prop_oneof![known.prop_map(String::from), own]
        .prop_map(|name| http::Method::from_bytes(name.as_bytes()).unwrap())
}

fn version() -> impl Strategy<Value = http::Version> {
    use http::Version;
    let all = [
        Version::HTTP_09,
        Version::HTTP_10,
        Version::HTTP_11,
        Version::HTTP_2,
        Version::HTTP_3,
    ];
    prop::sample::select(all.to_vec())
}

/// With names that repeat, and values that are not UTF-8.
fn headers() -> impl Strategy<Value = http::HeaderMap> {
    let name = prop_oneof!["[a-d]", "[a-z0-9-]{1,30}"];
    let byte = prop_oneof![Just(b'\t'), 32..127_u8, 128..=255_u8];
    let value = prop::collection::vec(byte, 0..40);
    prop::collection::vec((name, value, any::<bool>()), 0..12).prop_map(|headers| {
        let mut map = http::HeaderMap::new();
        for (name, value, sensitive) in headers {
            let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
            let mut value = http::HeaderValue::from_bytes(&value).unwrap();
            value.set_sensitive(sensitive);
            map.append(name, value);
        }
        map
    })
}

fn same_headers(one: &http::HeaderMap, other: &http::HeaderMap) {
    let list = |map: &http::HeaderMap| {
        let all = map.iter().map(|(name, value)| {
            let bytes = value.as_bytes().to_vec();
            (name.clone(), bytes, value.is_sensitive())
        });
        all.collect::<Vec<_>>()
    };
    assert_eq!(list(one), list(other));
}

fn uri() -> impl Strategy<Value = String> {
    let absolute = "https?://([a-z]{1,9}:[a-z]{1,5}@)?[a-z0-9.]{1,20}(:[1-9][0-9]{0,3})?(/[!-~&&[^#\"<>`\\\\^{|}]]{0,30})?";
    let others = prop::sample::select(vec![
        "/",
        "*",
        "/a?b=c&d",
        "robot:443",
        "http://[::1]:80/",
        "http://a?b",
    ]);
    prop_oneof![absolute, others.prop_map(String::from)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_http_request_is_read_as_written(
        method in method(),
        uri in uri(),
        version in version(),
        headers in headers(),
        body: Vec<u8>,
    ) {
        let Ok(uri) = uri.parse::<http::Uri>() else {
            return Err(TestCaseError::reject("not a URI"));
        };
        let mut request = http::Request::new(Bytes::from(body.clone()));
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        let back = round(&HttpCodec, &request);
        prop_assert_eq!(back.method(), request.method());
        prop_assert_eq!(back.uri(), request.uri());
        prop_assert_eq!(back.uri().to_string(), request.uri().to_string());
        prop_assert_eq!(back.version(), request.version());
        same_headers(back.headers(), request.headers());
        prop_assert_eq!(back.body(), request.body());
        let with_vec = round(&HttpCodec, &request.map(|_| body.clone()));
        prop_assert_eq!(with_vec.into_body(), body);
    }

    #[test]
    fn a_request_of_reqwest_is_read_as_written(
        method in method(),
        path in "[ -~]{0,40}",
        version in version(),
        headers in headers(),
        body: Option<Vec<u8>>,
        timeout: Option<Duration>,
    ) {
        let url = format!("https://user:pass@robot.example:8443/{path}").parse().unwrap();
        let mut request = reqwest::Request::new(method, url);
        *request.version_mut() = version;
        *request.headers_mut() = headers;
        *request.timeout_mut() = timeout;
        *request.body_mut() = body.clone().map(reqwest::Body::from);
        let back = round(&HttpCodec, &request);
        prop_assert_eq!(back.method(), request.method());
        prop_assert_eq!(back.url(), request.url());
        prop_assert_eq!(back.version(), version);
        prop_assert_eq!(back.timeout(), timeout.as_ref());
        same_headers(back.headers(), request.headers());
        let back = back.body().map(|body| body.as_bytes().unwrap().to_vec());
        prop_assert_eq!(back, body);
    }

    #[test]
    fn a_reading_is_read_as_written(reading: (String, Vec<u64>, Option<bool>, i64)) {
        let (name, counts, known, value) = reading;
        let reading = Reading { name, counts, known, value };
        prop_assert_eq!(round(&Json, &reading), reading);
    }

    #[test]
    fn raw_bytes_are_read_as_written(bytes: Vec<u8>, text: String) {
        prop_assert_eq!(round(&Raw, &bytes), bytes.clone());
        prop_assert_eq!(round(&Raw, &Bytes::from(bytes.clone())), bytes);
        prop_assert_eq!(round(&Raw, &text), text);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Reading {
    name: String,
    counts: Vec<u64>,
    known: Option<bool>,
    value: i64,
}

#[test]
fn a_streaming_body_is_refused() {
    let mut request = reqwest::Request::new(http::Method::POST, "http://a/".parse().unwrap());
    *request.body_mut() = Some(reqwest::Body::wrap(http_body_util::Empty::<Bytes>::new()));
    let error = HttpCodec.encode(&request, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "a streaming body can't be stored");
}

#[test]
fn one_kind_of_request_is_not_taken_for_the_other() {
    let mut bytes = Vec::new();
    HttpCodec
        .encode(&http::Request::new(Bytes::new()), &mut bytes)
        .unwrap();
    assert!(Codec::<reqwest::Request>::decode(&HttpCodec, &bytes).is_err());
}
