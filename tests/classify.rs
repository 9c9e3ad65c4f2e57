//! The classifier, on errors that are made up (each row of the table in each wrapping) and on real
//! ones (sockets, resolvers, handshakes, HTTP clients).

// clippy.toml allows it in tests, but takes only the functions that are tests themselves for such.
#![allow(clippy::unwrap_used)]

mod classify {
    mod chains;
    mod foreign;
    mod generator;
    mod hidden;
    mod hidden_clients;
    mod negatives;
    mod policy;
    mod rows;
    mod sockets;
    mod wrappings;

    #[cfg(feature = "_tests")]
    mod async_nats;
    #[cfg(feature = "_tests")]
    mod curl;
    #[cfg(all(feature = "h2", feature = "hyper"))]
    mod h2;
    #[cfg(feature = "hickory")]
    mod hickory;
    #[cfg(feature = "hyper-util")]
    mod http_server;
    #[cfg(feature = "hyper-util")]
    mod hyper_util;
    #[cfg(feature = "_tests")]
    mod lapin;
    #[cfg(all(feature = "native-tls", feature = "rustls"))]
    mod native_tls;
    #[cfg(feature = "_tests")]
    mod postgres;
    #[cfg(feature = "_tests")]
    mod process;
    #[cfg(feature = "hyper-util")]
    mod proxies;
    #[cfg(feature = "_tests")]
    mod quinn;
    #[cfg(feature = "_tests")]
    mod redis;
    #[cfg(feature = "reqwest")]
    mod reqwest;
    #[cfg(feature = "_tests")]
    mod rumqttc;
    #[cfg(feature = "rustls")]
    mod rustls;
    #[cfg(feature = "_tests")]
    mod sqlx;
    #[cfg(feature = "_tests")]
    mod sqlx_0_8;
    #[cfg(feature = "rustls")]
    mod tls_peer;
    #[cfg(feature = "_tests")]
    mod tokio_postgres;
    #[cfg(feature = "_tests")]
    mod tokio_tungstenite;
    #[cfg(feature = "tonic")]
    mod tonic;
    #[cfg(feature = "_tests")]
    mod truth;
    #[cfg(feature = "_tests")]
    mod ureq;
}
