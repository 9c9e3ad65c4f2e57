//! What the kernel's messages say.

use std::collections::HashSet;

/// Those of the kernel's lists that are read.
pub(super) const GROUPS: u32 = (libc::RTMGRP_LINK
    | libc::RTMGRP_IPV4_IFADDR
    | libc::RTMGRP_IPV6_IFADDR
    | libc::RTMGRP_IPV4_ROUTE
    | libc::RTMGRP_IPV6_ROUTE) as u32;

const HEADER: usize = 16;
/// Of a message about an address.
const ADDRESS_HEADER: usize = 8;
/// `IFA_F_TENTATIVE`.
const TENTATIVE: u8 = 0x40;
/// `IFA_ADDRESS` and `IFA_LOCAL`: the two ends of a line between two, else the same.
const ADDRESS: u16 = 1;
const LOCAL: u16 = 2;

/// Tells changes for the better from others: links that came up, new addresses, new routes.
///
/// The kernel also tells of what has not changed in a way that counts here: of a link that is scanned
/// on, of an address whose lease was renewed. So it is kept what was there. What has not been heard of
/// before counts as new, once.
#[derive(Default)]
pub(super) struct News {
    running: HashSet<[u8; 4]>,
    addresses: HashSet<Vec<u8>>,
}

impl News {
    /// Reads a datagram, perhaps without its end. Whether it brings something good.
    pub(super) fn read(&mut self, mut datagram: &[u8]) -> bool {
        let mut good = false;
        while let Some((header, rest)) = datagram.split_at_checked(HEADER) {
            let length = header.first_chunk().copied().map_or(0, u32::from_ne_bytes);
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            let kind = u16::from_ne_bytes([header[4], header[5]]);
            let body = length.saturating_sub(HEADER).min(rest.len());
            good |= self.message(kind, &rest[..body]).unwrap_or(false);
            // Each begins at a multiple of four.
            let next = length.max(HEADER).saturating_add(3) & !3;
            datagram = datagram.get(next..).unwrap_or_default();
        }
        good
    }

    /// `None` if it is too short.
    fn message(&mut self, kind: u16, body: &[u8]) -> Option<bool> {
        Some(match kind {
            // `struct ifinfomsg`. Bridges tell of their ports by it too, in a family of their own.
            libc::RTM_NEWLINK | libc::RTM_DELLINK if *body.first()? == libc::AF_UNSPEC as u8 => {
                let index = *body.get(4..)?.first_chunk()?;
                let flags = u32::from_ne_bytes(*body.get(8..)?.first_chunk()?);
                if kind == libc::RTM_NEWLINK && flags & libc::IFF_RUNNING as u32 != 0 {
                    self.running.insert(index)
                } else {
                    self.running.remove(&index);
                    false
                }
            }
            // `struct ifaddrmsg`. An address of IPv6 is tried first, and told of again when it is good.
            libc::RTM_NEWADDR if *body.get(2)? & TENTATIVE != 0 => false,
            libc::RTM_NEWADDR => self.addresses.insert(address(body)?),
            libc::RTM_DELADDR => {
                self.addresses.remove(&address(body)?);
                false
            }
            // `struct rtmsg`.
            libc::RTM_NEWROUTE => {
                let flags = u32::from_ne_bytes(*body.get(8..)?.first_chunk()?);
                *body.get(7)? == libc::RTN_UNICAST && flags & libc::RTM_F_CLONED == 0
            }
            _ => false,
        })
    }
}

/// What is the same whenever an address of an interface is told of.
fn address(body: &[u8]) -> Option<Vec<u8>> {
    let (header, mut attributes) = body.split_at_checked(ADDRESS_HEADER)?;
    let mut address = header[4..].to_vec();
    while let Some(&[a, b, c, d]) = attributes.first_chunk() {
        let length = usize::from(u16::from_ne_bytes([a, b])).max(4);
        let kind = u16::from_ne_bytes([c, d]);
        if kind == ADDRESS || kind == LOCAL {
            address.extend(attributes.get(2..length)?);
        }
        attributes = attributes.get((length + 3) & !3..).unwrap_or_default();
    }
    Some(address)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UP: u32 = libc::IFF_UP as u32;
    const RUNNING: u32 = UP | libc::IFF_RUNNING as u32;

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        let mut message = length.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.resize(HEADER, 0);
        message.extend(body);
        message.resize(message.len().next_multiple_of(4), 0);
        message
    }

    fn link(kind: u16, family: i32, index: u32, flags: u32) -> Vec<u8> {
        let mut body = vec![u8::try_from(family).unwrap(), 0, 1, 0];
        body.extend(index.to_ne_bytes());
        body.extend(flags.to_ne_bytes());
        body.extend(0_u32.to_ne_bytes());
        message(kind, &body)
    }

    /// With a lease of so many seconds, as `IFA_CACHEINFO` has it.
    fn address(kind: u16, flags: u8, index: u32, address: [u8; 4], lease: u32) -> Vec<u8> {
        let mut body = vec![2, 24, flags, 0];
        body.extend(index.to_ne_bytes());
        for (kind, value) in [
            (LOCAL, address),
            (6, lease.to_ne_bytes()),
            (ADDRESS, address),
        ] {
            body.extend(8_u16.to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(value);
        }
        message(kind, &body)
    }

    fn route(kind: u16, of: u8, flags: u32) -> Vec<u8> {
        let mut body = vec![2, 0, 0, 0, 254, 3, 0, of];
        body.extend(flags.to_ne_bytes());
        message(kind, &body)
    }

    #[test]
    fn a_link_is_good_when_it_comes_up() {
        let mut news = News::default();
        let says = |flags| link(libc::RTM_NEWLINK, libc::AF_UNSPEC, 3, flags);
        assert!(!news.read(&says(UP)), "no carrier");
        assert!(news.read(&says(RUNNING)));
        assert!(!news.read(&says(RUNNING)), "something else about it");
        let other = link(libc::RTM_NEWLINK, libc::AF_UNSPEC, 4, RUNNING);
        assert!(news.read(&other));
        assert!(!news.read(&says(UP)));
        let port = link(libc::RTM_NEWLINK, libc::AF_BRIDGE, 3, RUNNING);
        assert!(!news.read(&port), "a port of a bridge");
        assert!(news.read(&says(RUNNING)));
        let gone = link(libc::RTM_DELLINK, libc::AF_UNSPEC, 3, RUNNING);
        assert!(!news.read(&gone));
        assert!(news.read(&says(RUNNING)), "another one of its number");
    }

    #[test]
    fn an_address_is_good_when_it_is_new() {
        let mut news = News::default();
        let (new, gone) = (libc::RTM_NEWADDR, libc::RTM_DELADDR);
        let one = [10, 0, 0, 1];
        assert!(!news.read(&address(new, TENTATIVE, 3, one, 60)));
        assert!(news.read(&address(new, 0, 3, one, 60)));
        assert!(!news.read(&address(new, 0, 3, one, 600)), "another lease");
        assert!(news.read(&address(new, 0, 4, one, 60)), "another interface");
        assert!(news.read(&address(new, 0, 3, [10, 0, 0, 2], 60)));
        assert!(!news.read(&address(gone, 0, 3, one, 0)));
        assert!(news.read(&address(new, 0, 3, one, 60)));
    }

    #[test]
    fn a_route_is_good_when_it_leads_elsewhere() {
        let mut news = News::default();
        assert!(news.read(&route(libc::RTM_NEWROUTE, libc::RTN_UNICAST, 0)));
        assert!(!news.read(&route(libc::RTM_NEWROUTE, libc::RTN_LOCAL, 0)));
        let cloned = libc::RTM_F_CLONED;
        assert!(!news.read(&route(libc::RTM_NEWROUTE, libc::RTN_UNICAST, cloned)));
        assert!(!news.read(&route(libc::RTM_DELROUTE, libc::RTN_UNICAST, 0)));
    }

    #[test]
    fn all_messages_of_a_datagram_are_read() {
        let mut news = News::default();
        let mut datagram = message(libc::RTM_NEWNEIGH, &[0; 5]);
        datagram.extend(link(libc::RTM_NEWLINK, libc::AF_UNSPEC, 3, UP));
        assert!(!news.read(&datagram));
        datagram.extend(route(libc::RTM_NEWROUTE, libc::RTN_UNICAST, 0));
        assert!(news.read(&datagram));
        datagram.truncate(datagram.len() - 8);
        assert!(!news.read(&datagram), "the end is missing");
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            kind in 16..32_u16,
            length in 0..64_u32,
        ) {
            let mut news = News::default();
            news.read(&bytes);
            news.read(&message(kind, &bytes));
            let mut datagram = message(kind, &bytes);
            datagram[..4].copy_from_slice(&length.to_ne_bytes());
            news.read(&datagram);
        }
    }
}
