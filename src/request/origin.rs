use super::Destination;

/// What fails together in HTTP: the scheme, and the authority without its credentials and without
/// the scheme's own port.
pub(super) struct Origin<'a> {
    scheme: &'a str,
    authority: &'a str,
}

impl<'a> Origin<'a> {
    pub(super) fn new(scheme: &'a str, authority: &'a str) -> Self {
        Self { scheme, authority }
    }

    pub(super) fn destination(&self) -> Destination {
        let host = without_credentials(self.without_implied_port()).to_ascii_lowercase();
        let scheme = self.scheme.to_ascii_lowercase();
        Destination::new(format!("{scheme}://{host}"))
    }

    /// Made without building the name, and quick: it runs after each request that succeeds. It
    /// has to tell destinations apart, not to stand against somebody who seeks collisions: all
    /// they would get is that a [permanent](crate::Outlook::Permanent) error is not believed.
    #[inline]
    pub(super) fn hash64(&self) -> u64 {
        let (scheme, implied_port) = match self.scheme {
            "http" => (0, self.authority.ends_with(":80")),
            "https" => (1, self.authority.ends_with(":443")),
            _ => return self.hash64_of_name(),
        };
        let (hash, credentials) = mix(scheme, self.authority);
        if implied_port || credentials {
            return self.hash64_of_name();
        }
        hash
    }

    #[cold]
    fn hash64_of_name(&self) -> u64 {
        let scheme = match self.scheme {
            "http" => 0,
            "https" => 1,
            other => mix(2, other).0,
        };
        mix(scheme, without_credentials(self.without_implied_port())).0
    }

    fn without_implied_port(&self) -> &str {
        let is = |scheme| self.scheme.eq_ignore_ascii_case(scheme);
        let host = if is("http") || is("ws") {
            self.authority.strip_suffix(":80")
        } else if is("https") || is("wss") {
            self.authority.strip_suffix(":443")
        } else {
            None
        };
        host.unwrap_or(self.authority)
    }
}

fn without_credentials(authority: &str) -> &str {
    authority.rsplit('@').next().unwrap_or_default()
}

/// A hash that takes upper and lower case for equal, and whether there is an `@`. Eight bytes at a
/// time.
#[inline]
fn mix(seed: u64, text: &str) -> (u64, bool) {
    let bytes = text.as_bytes();
    let (mut hash, mut at) = (seed ^ (bytes.len() as u64) << 8, 0);
    let mut mix = |bytes| {
        let word = u64::from_le_bytes(bytes);
        at |= zero_byte(word ^ every(b'@'));
        // Of what a host may have, this changes upper case alone.
        let product = u128::from(hash ^ (word | every(0x20))) * 0x9E37_79B9_7F4A_7C15;
        hash = (product >> 64) as u64 ^ product as u64;
    };
    match bytes.last_chunk() {
        Some(last) => {
            let words = bytes.chunks_exact(8);
            words.for_each(|word| mix(word.try_into().unwrap_or_default()));
            mix(*last); // some of its bytes a second time, which does no harm
        }
        None => {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            mix(word);
        }
    }
    (hash, at != 0)
}

const fn every(byte: u8) -> u64 {
    u64::from_ne_bytes([byte; 8])
}

/// Not zero if some byte is.
const fn zero_byte(word: u64) -> u64 {
    word.wrapping_sub(every(1)) & !word & every(0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_equal_where_the_destination_is_and_only_there() {
        let mut seen: Vec<(Destination, u64)> = Vec::new();
        for scheme in ["http", "https", "ws", "WS", "wss", "WSS", "ftp"] {
            for host in [
                "a",
                "b",
                "ab",
                "robot",
                "r2.example",
                "R2.Example",
                "a-long.example.com",
                "a-long.example.org",
                "[::1]",
                "[fe80::1]",
                "1.2.3.4",
                "",
            ] {
                for user in [
                    "",
                    "u@",
                    "u:p@",
                    "user:with@sign@",
                    "a-long-name:and-a-password@",
                ] {
                    for port in ["", ":80", ":443", ":8080", ":", ":8"] {
                        let authority = format!("{user}{host}{port}");
                        let origin = Origin::new(scheme, &authority);
                        seen.push((origin.destination(), origin.hash64()));
                    }
                }
            }
        }
        for (destination, hash) in &seen {
            for (other, its_hash) in &seen {
                assert_eq!(
                    destination == other,
                    hash == its_hash,
                    "{destination}, {other}"
                );
            }
        }
    }

    #[test]
    fn a_destination_has_neither_credentials_nor_the_schemes_own_port() {
        let name = |scheme, authority| Origin::new(scheme, authority).destination().to_string();
        assert_eq!(name("http", "Robot:80"), "http://robot");
        assert_eq!(name("http", "robot:443"), "http://robot:443");
        assert_eq!(name("https", "u:p@robot:443"), "https://robot");
        assert_eq!(name("https", "[::80]:80"), "https://[::80]:80");
        assert_eq!(name("http", "[::80]"), "http://[::80]");
        assert_eq!(name("WSS", "robot:443"), "wss://robot");
        assert_eq!(name("ftp", "robot:80"), "ftp://robot:80");
    }
}
