//! The rooms of the house, and how the connection breaks in each.

use std::io;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use crate::base::{Base, Sky};
use crate::options::Pace;
use crate::tls::Certificates;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Restart,
    Resets,
    Silence,
    Portal,
    NoName,
    Flapping,
}

/// What there is to break.
pub(crate) struct House {
    pub(crate) base: Base,
    /// The `host:port` that the robot looks up before each connect.
    pub(crate) address: watch::Sender<String>,
}

impl House {
    pub(crate) async fn build(
        certificates: &Certificates,
        pace: Pace,
        random: &mut fastrand::Rng,
    ) -> io::Result<Self> {
        // So that some messages are under way whenever the connection breaks.
        let latency = pace.interval.mul_f64(3.0 + 3.0 * random.f64());
        let base = Base::start(certificates, latency).await?;
        let address = watch::Sender::new(Self::address_of(&base));
        Ok(Self { base, address })
    }

    /// The base's address when all is well. A name, so that it has to be resolved.
    pub(crate) fn address_of(base: &Base) -> String {
        format!("localhost:{}", base.port())
    }
}

impl Room {
    pub(crate) const ALL: [Self; 6] = [
        Self::Restart,
        Self::Resets,
        Self::Silence,
        Self::Portal,
        Self::NoName,
        Self::Flapping,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Restart => "server restart",
            Self::Resets => "three resets",
            Self::Silence => "server hangs",
            Self::Portal => "captive portal",
            Self::NoName => "no such host",
            Self::Flapping => "connects, resets",
        }
    }

    /// What happens there, for who watches.
    pub(crate) fn describe(self) -> &'static str {
        match self {
            Self::Restart => "the server closes everything, and is back later on the same port",
            Self::Resets => "the connection gets a RST (SO_LINGER 0), three times in a row",
            Self::Silence => "the server hangs while its kernel goes on acknowledging",
            Self::Portal => "TLS handshakes get plain text, an end, or a wrong certificate",
            Self::NoName => "the connection is reset, and getaddrinfo does not know the name",
            Self::Flapping => "connections are accepted, and then reset",
        }
    }

    /// Breaks the connection for about `outage`, and returns when all is well again.
    pub(crate) async fn pass(self, house: &House, outage: Duration) {
        let base = &house.base;
        match self {
            Self::Restart => {
                base.set(Sky::Gone);
                sleep(outage).await;
            }
            Self::Resets => {
                for _ in 0..3 {
                    base.strike();
                    sleep(outage / 4).await;
                }
            }
            Self::Silence => {
                base.set(Sky::Hanging);
                sleep(outage).await;
            }
            Self::Portal => {
                base.set(Sky::Portal);
                base.strike();
                sleep(outage).await;
            }
            Self::NoName => {
                // RFC 6761: a name that no resolver may ever find.
                house
                    .address
                    .send_replace("base.robot.invalid:7".to_owned());
                base.strike();
                // A robot that is another process hears of the address a little later.
                sleep(outage / 4).await;
                base.strike();
                sleep(outage * 3 / 4).await;
                house.address.send_replace(House::address_of(base));
            }
            Self::Flapping => {
                base.set(Sky::Flapping);
                base.strike();
                sleep(outage).await;
            }
        }
        base.set(Sky::Clear);
    }
}
