//! A little name server.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::host::Host;

/// How questions are answered (RFC 1035 §4.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Every name has this one address.
    Address(Ipv4Addr),
    /// There is such a name, without an address.
    NoData,
    /// There is no such name.
    NxDomain,
    /// The server has failed.
    ServFail,
    /// The server does not want to.
    Refused,
    /// Not at all.
    Silent,
}

/// Dropping it closes its socket.
pub(crate) struct NameServer {
    mood: Arc<Mutex<Mood>>,
    thread: Option<JoinHandle<()>>,
    stop: Option<oneshot::Sender<()>>,
}

impl NameServer {
    pub(crate) fn start(host: &Host, address: Ipv4Addr, mood: Mood) -> Self {
        let address = SocketAddr::from((address, 53));
        let socket = host.run(|| UdpSocket::bind(address)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mood = Arc::new(Mutex::new(mood));
        let (stop, stopped) = oneshot::channel::<()>();
        let now = Arc::clone(&mood);
        let thread = host.spawn(move || async move {
            tokio::select! {
                () = serve(socket, now) => {}
                _ = stopped => {}
            }
        });
        Self {
            mood,
            thread: Some(thread),
            stop: Some(stop),
        }
    }

    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stop = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(socket: UdpSocket, mood: Arc<Mutex<Mood>>) {
    let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
    let mut buffer = [0; 1500];
    loop {
        // An error is about an answer that went to somebody who is gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let mood = *mood.lock().unwrap();
        if let Some(answer) = answer(&buffer[..length], mood) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

const A: [u8; 2] = [0, 1];

/// The answer to a message with one question.
fn answer(query: &[u8], mood: Mood) -> Option<Vec<u8>> {
    let (header, rest) = query.split_at_checked(12)?;
    // A name is a sequence of labels, up to an empty one; then come the type and the class.
    let mut end = 0;
    while *rest.get(end)? != 0 {
        end += usize::from(rest[end]) + 1;
    }
    let question = rest.get(..end + 5)?;
    let is_a = question[end + 1..end + 3] == A;
    let (code, address) = match mood {
        Mood::Address(address) => (0, Some(address).filter(|_| is_a)),
        Mood::NoData => (0, None),
        Mood::ServFail => (2, None),
        Mood::NxDomain => (3, None),
        Mood::Refused => (5, None),
        Mood::Silent => return None,
    };
    let mut answer = header[..2].to_vec();
    // A response, recursion desired and available; then the counts of the four sections.
    answer.extend([0x81, 0x80 | code]);
    answer.extend([0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    answer.extend(question);
    if let Some(address) = address {
        // The name of the question, class IN, for 0 seconds, 4 bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}
