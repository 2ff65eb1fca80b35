//! Counts what a peer sends and keeps its first bytes, so that a fault can say what it was. Owns no judgement of protocols
//! beyond recognising a few by their first bytes.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// First bytes that are kept: enough for a status line's beginning, too few for anything that matters.
const HEAD_BYTES: usize = 24;

/// How requests begin.
const OURS: [&[u8]; 5] = [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"OPTIONS "];

/// What was received.
#[derive(Default)]
pub(crate) struct Meter {
    received: AtomicU64,
    head: Mutex<Vec<u8>>,
}

impl Meter {
    /// Bytes received.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    fn note(&self, bytes: &[u8]) {
        let before = self.received.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if before < HEAD_BYTES as u64 {
            let mut head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
            let room = HEAD_BYTES.saturating_sub(head.len()).min(bytes.len());
            head.extend_from_slice(&bytes[..room]);
        }
    }

    /// What the peer speaks instead of HTTP, in words.
    pub(crate) fn foreign(&self) -> String {
        let head = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let head = head.as_slice();
        match head {
            // TLS record: alert or handshake, version 3.x (RFC 8446 section 5.1).
            [0x15 | 0x16, 3, ..] => "the peer speaks TLS on this port, not HTTP; use https".to_owned(),
            _ if head.starts_with(b"SSH-") => "the peer speaks SSH, not HTTP".to_owned(),
            _ if head.starts_with(b"RTSP/") => "the peer speaks RTSP, not HTTP".to_owned(),
            // Quoting it would quote a part of our own request, which may hold a secret.
            _ if OURS.iter().any(|method| head.starts_with(method)) => "the peer sends back what it is sent".to_owned(),
            _ if head.starts_with(b"HTTP/") => "the headers of the reply are malformed".to_owned(),
            _ => {
                let line = head.split(|b| *b == b'\r' || *b == b'\n').next().unwrap_or_default();
                format!("the peer does not speak HTTP: its reply begins with \"{}\"", line.escape_ascii())
            }
        }
    }
}

/// A stream with a meter on what it receives.
pub(crate) struct Metered<S> {
    stream: S,
    meter: Arc<Meter>,
}

impl<S> Metered<S> {
    pub(crate) fn new(stream: S) -> (Self, Arc<Meter>) {
        let meter = Arc::new(Meter::default());
        (Self { stream, meter: Arc::clone(&meter) }, meter)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            self.meter.note(new);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
