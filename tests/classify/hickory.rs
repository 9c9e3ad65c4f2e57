//! Errors of the hickory resolver.

use std::io;
use std::sync::Arc;

use hickory_resolver::net::{DnsError, NetError, NoRecords};
use hickory_resolver::proto::op::{Query, ResponseCode};
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
