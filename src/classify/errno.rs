//! The system's error codes.

use super::io::Meaning;
#[cfg(windows)]
use super::io::by_kind;
use super::{ConnErrorKind as Conn, Outlook};

/// What an errno means (`errno(3)`, `tcp(7)`, `ip(7)`, `connect(2)`).
#[cfg(unix)]
pub(super) fn meaning(code: i32) -> Option<Meaning> {
    Some(match code {
        libc::ECONNREFUSED => Meaning::Conn(Conn::Refused),
        libc::ECONNRESET => Meaning::Conn(Conn::Reset),
        libc::ECONNABORTED => Meaning::Conn(Conn::Aborted),
        libc::EPIPE | libc::ESHUTDOWN => Meaning::Conn(Conn::BrokenPipe),
        libc::ENOTCONN => Meaning::Conn(Conn::NotConnected),
        // ENOPROTOOPT is how Linux reports an ICMP "protocol unreachable".
        libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EHOSTDOWN | libc::ENOPROTOOPT => {
            Meaning::Conn(Conn::Unreachable)
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        libc::ENONET => Meaning::Conn(Conn::Unreachable),
        libc::ENETDOWN | libc::ENETRESET | libc::ENODEV => Meaning::Conn(Conn::NetworkDown),
        libc::EADDRNOTAVAIL => Meaning::Conn(Conn::AddressUnavailable),
        // EAGAIN is what a blocking socket's own time limit comes to (SO_RCVTIMEO, `socket(7)`).
        libc::ETIMEDOUT | libc::EAGAIN => Meaning::Conn(Conn::Timeout),
        libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM => {
            Meaning::Connecting(Conn::Local, Outlook::Transient)
        }
        // EAFNOSUPPORT: this machine has no IPv6, say.
        libc::EACCES | libc::EPERM | libc::EAFNOSUPPORT => {
            Meaning::Connecting(Conn::Local, Outlook::Permanent)
        }
        libc::EADDRINUSE => Meaning::Connecting(Conn::AddressUnavailable, Outlook::Transient),
        // Of a Unix socket: the server has not made it yet (`unix(7)`).
        libc::ENOENT => Meaning::Connecting(Conn::Refused, Outlook::Transient),
        _ => return None,
    })
}

/// What a Windows code means ("Windows Sockets Error Codes" and "System Error Codes" of the Win32
/// reference).
#[cfg(windows)]
pub(super) fn meaning(code: i32) -> Option<Meaning> {
    Some(match code {
        // WSAECONNREFUSED, ERROR_CONNECTION_REFUSED
        10061 | 1225 => Meaning::Conn(Conn::Refused),
        // WSAECONNRESET, ERROR_NETNAME_DELETED
        10054 | 64 => Meaning::Conn(Conn::Reset),
        // WSAECONNABORTED, ERROR_CONNECTION_ABORTED
        10053 | 1236 => Meaning::Conn(Conn::Aborted),
        // WSAESHUTDOWN, ERROR_BROKEN_PIPE, ERROR_NO_DATA
        10058 | 109 | 232 => Meaning::Conn(Conn::BrokenPipe),
        // WSAENOTCONN, ERROR_PIPE_NOT_CONNECTED, ERROR_NOT_CONNECTED
        10057 | 233 | 2250 => Meaning::Conn(Conn::NotConnected),
        // WSAENETUNREACH, WSAEHOSTUNREACH, WSAEHOSTDOWN, ERROR_BAD_NETPATH, ERROR_NETWORK_UNREACHABLE,
        // ERROR_HOST_UNREACHABLE, ERROR_PROTOCOL_UNREACHABLE, ERROR_PORT_UNREACHABLE, ERROR_HOST_DOWN
        10051 | 10065 | 10064 | 53 | 1231..=1234 | 1256 => Meaning::Conn(Conn::Unreachable),
        // WSAENETDOWN, WSAENETRESET
        10050 | 10052 => Meaning::Conn(Conn::NetworkDown),
        // WSAEADDRNOTAVAIL
        10049 => Meaning::Conn(Conn::AddressUnavailable),
        // ERROR_VC_DISCONNECTED, ERROR_GRACEFUL_DISCONNECT
        240 | 1226 => Meaning::Conn(Conn::Closed),
        // ERROR_UNEXP_NET_ERR
        59 => Meaning::Conn(Conn::Other),
        // WSAETIMEDOUT, ERROR_SEM_TIMEOUT
        10060 | 121 => Meaning::Conn(Conn::Timeout),
        // WSAHOST_NOT_FOUND, WSANO_DATA
        11001 | 11004 => Meaning::Dns(Outlook::Permanent),
        // WSATRY_AGAIN, WSANO_RECOVERY
        11002 | 11003 => Meaning::Dns(Outlook::Transient),
        // WSAEMFILE, WSAENOBUFS
        10024 | 10055 => Meaning::Connecting(Conn::Local, Outlook::Transient),
        // WSAEACCES, ERROR_ACCESS_DENIED, WSAEAFNOSUPPORT
        10013 | 5 | 10047 => Meaning::Connecting(Conn::Local, Outlook::Permanent),
        // WSAEADDRINUSE
        10048 => Meaning::Connecting(Conn::AddressUnavailable, Outlook::Transient),
        // More codes than these have a kind: that of a wait that was too long, above all.
        _ => return by_kind(std::io::Error::from_raw_os_error(code).kind()),
    })
}

/// Nothing is known about other systems' codes, and `raw_os_error` would hide the kind.
#[cfg(not(any(unix, windows)))]
pub(super) fn meaning(_code: i32) -> Option<Meaning> {
    let _ = (Conn::Other, Outlook::Transient);
    None
}
