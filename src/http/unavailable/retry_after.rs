use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

/// What `Retry-After` says (RFC 9110 §10.2.3): a number of seconds, or a date in any of the three forms
/// of RFC 9110 §5.6.7. A date is taken relative to the answer's own `Date`, if there is one: the clock
/// here may be wrong, or not be set yet.
pub(super) fn parse(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // All that can go wrong is that it is too large.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = httpdate::parse_http_date(value).ok()?;
    let now = date(headers, DATE).unwrap_or(now);
    Some(at.duration_since(now).unwrap_or(Duration::ZERO))
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let value = headers.get(name)?.to_str().ok()?;
    httpdate::parse_http_date(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "Fri, 31 Dec 1999 23:59:00 GMT";

    fn seconds(retry_after: &'static str, date: Option<&'static str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        headers.extend(date.map(|date| (DATE, date.parse().unwrap())));
        let now = httpdate::parse_http_date(NOW).unwrap();
        parse(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn a_number_is_of_seconds() {
        assert_eq!(seconds("120", None), Some(120));
        assert_eq!(seconds("0", Some(NOW)), Some(0));
        assert_eq!(seconds("99999999999999999999999", None), Some(u64::MAX));
        for bad in ["", "-1", "+1", "1.5", "1 s", "soon", "0x10"] {
            assert_eq!(seconds(bad, None), None, "{bad}");
        }
        assert_eq!(parse(&HeaderMap::new(), SystemTime::now()), None);
    }

    #[test]
    fn a_date_has_three_forms() {
        for date in [
            "Fri, 31 Dec 1999 23:59:59 GMT",
            "Friday, 31-Dec-99 23:59:59 GMT",
            "Fri Dec 31 23:59:59 1999",
        ] {
            assert_eq!(seconds(date, None), Some(59), "{date}");
        }
        assert_eq!(seconds("Fri, 31 Dec 1999 23:58:59 GMT", None), Some(0));
        assert_eq!(seconds("Fri, 32 Dec 1999 23:58:59 GMT", None), None);
    }

    #[test]
    fn a_date_is_relative_to_the_answers_own() {
        let at = "Sat, 01 Jan 2000 12:00:30 GMT";
        let date = "Sat, 01 Jan 2000 12:00:00 GMT";
        assert_eq!(seconds(at, Some(date)), Some(30));
        assert_eq!(seconds(at, Some("yesterday")), Some(12 * 3600 + 90));
    }
}
