use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_util::codec::{Decoder, Encoder};
use tokio_util::io::poll_read_buf;

use super::book::Book;
use super::client::{Client, Job, Status};
use super::error::{Error, ErrorKind};
use super::options::Options;
use super::outgoing::Outgoing;
use super::patience::Patience;
use super::permits::Unclaimed;
use super::progress::Watch;
use super::queue::Receiver;
use super::socket::Socket;
use crate::BoxError;

/// Requests are taken from the queue and encoded while fewer bytes than this wait to be written.
/// So many small frames share one write, and a peer that does not read costs this much memory and
/// one frame.
const HIGH_WATER: usize = 128 * 1024;
/// Room for one read.
const READ_SIZE: usize = 16 * 1024;
/// After so many bytes the callers get a turn, so that answers don't pile up that are only waiting
/// to be fetched.
const READ_AT_ONCE: usize = 64 * 1024;
/// How long a broken or finished connection may take for its last bytes.
const GOODBYE: Duration = Duration::from_secs(1);

/// The task of one connection.
///
/// It does what `tokio_util::codec::Framed` does, with the write buffer in its own hands, because it
/// must know which frames were handed to the kernel.
pub(super) struct Driver<Io: Socket, C, Req: Send + 'static, B: Book<Req>> {
    io: Io,
    codec: C,
    queue: Receiver<Job<Req, B::Res>>,
    in_flight: B,
    outgoing: Outgoing,
    incoming: BytesMut,
    patience: Patience,
    watch: Watch,
    status: Arc<Status>,
    /// Permits of requests that are done, to be given back together.
    done: usize,
    unclaimed: Unclaimed,
    unflushed: bool,
    /// No handle is left, so no further request will come.
    deserted: bool,
}

/// Why a connection is over.
enum End {
    /// Nobody is interested in it any more.
    Deserted,
    /// Nothing can be written any more. There may still be answers to read.
    WriteFailed(Error),
    /// Nothing will be read any more.
    Broken(Error),
}

impl<Io, C, Req, B> Driver<Io, C, Req, B>
where
    Io: AsyncRead + AsyncWrite + Socket + Unpin,
    Req: Send + 'static,
    B: Book<Req>,
    C: Encoder<Req> + Decoder<Item = B::Res>,
    <C as Encoder<Req>>::Error: Into<BoxError>,
    <C as Decoder>::Error: Into<BoxError>,
{
    pub(super) fn new(
        io: Io,
        codec: C,
        in_flight: B,
        options: &Options,
    ) -> (Client<Req, B::Res>, Self) {
        let (client, status, queue) = Client::new(options.max_in_flight);
        let driver = Self {
            io,
            codec,
            queue,
            in_flight,
            outgoing: Outgoing::default(),
            incoming: BytesMut::new(),
            patience: Patience::new(options.response_timeout),
            watch: Watch::new(options.user_timeout()),
            status,
            done: 0,
            unclaimed: Unclaimed::default(),
            unflushed: false,
            deserted: false,
        };
        (client, driver)
    }

    pub(super) async fn run(mut self) {
        let end = std::future::poll_fn(|cx| {
            let end = self.poll_end(cx);
            let permits = &self.status.permits;
            permits.give_back(std::mem::take(&mut self.done));
            self.unclaimed.poll(permits, cx);
            end
        });
        match end.await {
            End::Deserted => {
                // A courtesy (TLS's close_notify). Nobody waits for anything, so what was written may
                // arrive.
                let _ = timeout(GOODBYE, self.io.shutdown()).await;
                self.end(&Error::unsent(ErrorKind::Gone, None));
            }
            End::WriteFailed(error) => {
                // Answers that came before the break must not be lost: their requests were
                // processed. Reading ends at once, because the connection is broken.
                let rest = std::future::poll_fn(|cx| self.poll_incoming(cx));
                let _ = timeout(GOODBYE, rest).await;
                self.fail(&error);
            }
            End::Broken(error) => self.fail(&error),
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        if let Poll::Ready(error) = self.poll_incoming(cx) {
            return Poll::Ready(End::Broken(error));
        }
        if let Poll::Ready(error) = self.poll_outgoing(cx) {
            return Poll::Ready(End::WriteFailed(error));
        }
        if let Poll::Ready(error) = self.poll_done(cx) {
            return Poll::Ready(End::Broken(error));
        }
        if self.deserted && self.in_flight.poll_abandoned(cx).is_ready() {
            return Poll::Ready(End::Deserted);
        }
        let idle = self.in_flight.is_empty();
        if !idle || !self.outgoing.unwritten.is_empty() {
            if let Poll::Ready(error) = self.watch.poll_stalled(&self.io, cx) {
                self.io.give_up();
                return Poll::Ready(End::Broken(broken(error)));
            }
        }
        if idle {
            return Poll::Pending;
        }
        ready!(self.patience.poll_exhausted(cx));
        let error = Error::unsent(ErrorKind::ResponseTimeout, None);
        Poll::Ready(End::Broken(error))
    }

    /// Reads and hands out answers, until the connection is over.
    fn poll_incoming(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        let mut total = 0;
        loop {
            if total >= READ_AT_ONCE {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.incoming.reserve(READ_SIZE);
            match ready!(poll_read_buf(
                Pin::new(&mut self.io),
                cx,
                &mut self.incoming
            )) {
                Ok(0) => return Poll::Ready(self.at_end_of_stream()),
                Ok(n) => {
                    total += n;
                    self.patience.restart();
                }
                Err(error) => return Poll::Ready(broken(error)),
            }
            loop {
                match self.codec.decode(&mut self.incoming) {
                    Ok(Some(answer)) => {
                        if let Err(error) = self.hand_out(answer) {
                            return Poll::Ready(error);
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        let source = Some(error.into());
                        return Poll::Ready(Error::unsent(ErrorKind::Decode, source));
                    }
                }
            }
        }
    }

    fn at_end_of_stream(&mut self) -> Error {
        loop {
            match self.codec.decode_eof(&mut self.incoming) {
                Ok(Some(answer)) => {
                    if let Err(error) = self.hand_out(answer) {
                        return error;
                    }
                }
                Ok(None) => return Error::unsent(ErrorKind::Closed, None),
                // In the middle of a frame.
                Err(error) => return Error::unsent(ErrorKind::Closed, Some(error.into())),
            }
        }
    }

    #[inline(always)]
    fn hand_out(&mut self, answer: B::Res) -> Result<(), Error> {
        let written = self.outgoing.written();
        if let Some((slot, answer)) = self.in_flight.answered(answer, written)? {
            self.done += 1;
            slot.answer(answer);
        }
        Ok(())
    }

    /// Finishes requests that are done without an answer, until that can't be told any more.
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            match ready!(self.in_flight.poll_done(&self.io, cx)) {
                Ok((slot, answer)) => {
                    self.done += 1;
                    self.patience.restart();
                    slot.finish(Ok(answer));
                }
                Err(error) => return Poll::Ready(broken(error)),
            }
        }
    }

    /// Takes requests from the queue and writes, until writing fails.
    fn poll_outgoing(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            self.take_requests(cx);
            if self.outgoing.unwritten.is_empty() {
                if self.unflushed {
                    match ready!(Pin::new(&mut self.io).poll_flush(cx)) {
                        Ok(()) => {
                            self.unflushed = false;
                            let written = self.outgoing.written();
                            self.in_flight.flushed(&self.io, written);
                        }
                        Err(error) => return Poll::Ready(broken(error)),
                    }
                }
                return Poll::Pending;
            }
            let before = self.io.written();
            let io = Pin::new(&mut self.io);
            match ready!(io.poll_write(cx, &self.outgoing.unwritten)) {
                Ok(0) => return Poll::Ready(broken(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.outgoing.wrote(n);
                    self.unflushed = true;
                }
                Err(error) => {
                    // TLS may have taken some of it, and written that, before it failed. It never
                    // makes less of what it takes.
                    let left = usize::try_from(self.io.written() - before).unwrap_or(usize::MAX);
                    self.outgoing.wrote(left.min(self.outgoing.unwritten.len()));
                    return Poll::Ready(broken(error));
                }
            }
        }
    }

    fn take_requests(&mut self, cx: &mut Context<'_>) {
        while !self.deserted && self.outgoing.unwritten.len() < HIGH_WATER {
            match self.queue.poll_next(cx) {
                Poll::Ready(Some(job)) => self.encode(job),
                Poll::Ready(None) => self.deserted = true,
                Poll::Pending => return,
            }
        }
    }

    fn encode(&mut self, Job { mut request, slot }: Job<Req, B::Res>) {
        if slot.is_abandoned() {
            self.done += 1;
            return;
        }
        let key = match self.in_flight.key(&mut request) {
            Ok(key) => key,
            Err(error) => {
                self.done += 1;
                return slot.finish(Err(error));
            }
        };
        if self.in_flight.is_empty() {
            self.patience.restart();
        }
        let codec = &mut self.codec;
        match self.outgoing.append(|buffer| codec.encode(request, buffer)) {
            Ok(span) => self.in_flight.insert(key, span, slot),
            Err(error) => {
                self.done += 1;
                let error = Error::unsent(ErrorKind::Encode, Some(error.into()));
                slot.finish(Err(error));
            }
        }
    }
}

impl<Io: Socket, C, Req: Send + 'static, B: Book<Req>> Driver<Io, C, Req, B> {
    /// The connection is broken. Whoever hears of it may replay its request on another one, so what
    /// the peer has not got yet must not arrive after that.
    fn fail(&mut self, cause: &Error) {
        if !B::KERNEL_ACKNOWLEDGED && !self.in_flight.is_empty() {
            self.io.give_up();
        }
        self.end(cause);
    }

    /// Tells everybody, at once and in the order of the calls. Whoever hears that its request failed
    /// must find the connection dead; whoever only waits for readiness hears last, so that it does
    /// not go past the others to another connection.
    fn end(&mut self, cause: &Error) {
        self.status.end(cause);
        let rest = self.queue.close();
        for (slot, sent) in self.in_flight.drain(self.outgoing.written()) {
            slot.finish(Err(cause.with_sent(sent)));
        }
        for Job { request, slot } in rest {
            slot.finish(Err(cause.handing_back(request)));
        }
        self.status.wake_waiters();
    }
}

impl<Io: Socket, C, Req: Send + 'static, B: Book<Req>> Drop for Driver<Io, C, Req, B> {
    /// However the task ends (the runtime is shut down, the codec panics), nobody is left waiting.
    fn drop(&mut self) {
        self.fail(&Error::unsent(ErrorKind::Gone, None));
    }
}

fn broken(error: io::Error) -> Error {
    Error::unsent(ErrorKind::Io, Some(error.into()))
}

#[cfg(test)]
mod tests;
