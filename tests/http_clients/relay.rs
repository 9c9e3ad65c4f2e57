//! The network between a client and a server, as far as it can be lost for the connections that are
//! there: what a NAT that forgets them does, or a change of networks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of the connections that are there when the network is lost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Loss {
    /// Nothing gets through any more, in either direction.
    Silent,
    /// They are reset as soon as the client sends something.
    Reset,
}

pub(crate) struct Relay {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    /// Lost connections on which the client has sent something since.
    tried: Arc<AtomicUsize>,
    loss: watch::Sender<Option<Loss>>,
}

impl Relay {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let relay = Self {
            address: listener.local_addr().unwrap(),
            accepted: Arc::default(),
            tried: Arc::default(),
            loss: watch::Sender::new(None),
        };
        let (accepted, tried) = (relay.accepted.clone(), relay.tried.clone());
        let loss = relay.loss.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(carry(client, server, loss.clone(), tried.clone()));
            }
        });
        relay
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The connections that are there are lost; new ones work.
    pub(crate) fn lose(&self, loss: Loss) {
        self.loss.send_replace(Some(loss));
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn tried(&self) -> usize {
        self.tried.load(Ordering::SeqCst)
    }
}

async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    mut loss: watch::Receiver<Option<Loss>>,
    tried: Arc<AtomicUsize>,
) {
    loss.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        changed = loss.changed() => if changed.is_err() { return },
    }
    let _ = server.shutdown().await;
    let mut lost = [0; 1024];
    let mut first = true;
    while let Ok(1..) = client.read(&mut lost).await {
        if std::mem::take(&mut first) {
            tried.fetch_add(1, Ordering::SeqCst);
        }
        if *loss.borrow() == Some(Loss::Reset) {
            let socket = socket2::SockRef::from(&client);
            socket.set_linger(Some(Duration::ZERO)).unwrap();
            return;
        }
    }
}
