//! Errors of the hickory resolver.

use std::io;
use std::sync::Arc;

use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::op::{Message, Query, ResponseCode};
use hickory_resolver::proto::rr::IntoName;
use hickory_resolver::proto::serialize::binary::DecodeError;
use tower_conn_retry::ConnErrorKind::{Dns, Timeout};
use tower_conn_retry::Outlook::{Permanent, Transient};
use tower_conn_retry::{ConnError, ConnErrorKind, Outlook, Sent, classify};

fn no_records(code: ResponseCode) -> NetError {
    NetError::from(NoRecords::new(Query::default(), code))
}

#[test]
fn a_resolvers_errors_were_not_sent() {
    let rows: Vec<(NetError, ConnErrorKind, Outlook)> = vec![
        (no_records(ResponseCode::NXDomain), Dns, Permanent),
        (no_records(ResponseCode::NoError), Dns, Permanent),
        (no_records(ResponseCode::ServFail), Dns, Transient),
        (no_records(ResponseCode::Refused), Dns, Transient),
        (
            DnsError::ResponseCode(ResponseCode::ServFail).into(),
            Dns,
            Transient,
        ),
        (NetError::NoConnections, Dns, Transient),
        (
            io::Error::from(io::ErrorKind::ConnectionRefused).into(),
            Dns,
            Transient,
        ),
        (NetError::Timeout, Timeout, Transient),
        // A bad answer.
        (
            ProtoError::from(Message::from_vec(&[0; 3]).unwrap_err()).into(),
            Dns,
            Transient,
        ),
        (
            ProtoError::from(DecodeError::RecordAfterSig).into(),
            Dns,
            Transient,
        ),
        (ProtoError::NotAResponse.into(), Dns, Transient),
    ];
    for (error, kind, outlook) in rows {
        let expected = Some(
            ConnError::new(kind)
                .with_sent(Sent::No)
                .with_outlook(outlook),
        );
        assert_eq!(classify(&error), expected, "{error:?}");
        assert_eq!(classify(&io::Error::other(error.clone())), expected);
        assert_eq!(classify(&Arc::new(error)), expected);
    }
}

/// Waiting does not make names of them. (getaddrinfo says that they do not exist.)
#[test]
fn what_is_no_name_is_permanent() {
    let label = "a".repeat(70);
    let long = "robot.".repeat(50);
    for text in ["foo..bar", "a b.test", &label, &long] {
        let error = text.into_name().map_err(NetError::from).unwrap_err();
        let expected = ConnError::new(Dns)
            .with_sent(Sent::No)
            .with_outlook(Permanent);
        assert_eq!(classify(&error), Some(expected), "{text} {error:?}");
    }
}
