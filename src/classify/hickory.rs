//! The hickory resolver. Whatever it fails with, the request was not sent.

use std::error::Error;

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::ProtoError;
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::serialize::binary::DecodeError;

use super::context::Context;
use super::walk::{Flow, cast};
use super::{ConnErrorKind, Outlook};

pub(super) fn inspect<'a>(error: &'a (dyn Error + 'static), context: &mut Context) -> Flow<'a> {
    let Some(net) = cast::<NetError>(error) else {
        return Flow::Pass;
    };
    context.set_connecting();
    match net {
        NetError::Timeout => context.note(ConnErrorKind::Timeout),
        net => context.note_outlook(ConnErrorKind::Dns, outlook(net)),
    }
    // What is below is about the way to the resolver.
    Flow::Stop
}

fn outlook(error: &NetError) -> Outlook {
    match error {
        // RFC 2308: the name does not exist, or has no such record. An answer without records may
        // also be a SERVFAIL or a REFUSED, which say nothing about the name.
        NetError::Dns(DnsError::NoRecordsFound(none))
            if matches!(
                none.response_code,
                ResponseCode::NXDomain | ResponseCode::NoError
            ) =>
        {
            Outlook::Permanent
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::NXDomain)) => Outlook::Permanent,
        // What was asked for is no name: an empty label, a character that there is not in names, too
        // long. (A bad answer has other variants.)
        NetError::Proto(
            ProtoError::Message(_)
            | ProtoError::Msg(_)
            | ProtoError::Decode(
                DecodeError::LabelBytesTooLong(_) | DecodeError::DomainNameTooLong(_),
            ),
        ) => Outlook::Permanent,
        _ => Outlook::Transient,
    }
}
