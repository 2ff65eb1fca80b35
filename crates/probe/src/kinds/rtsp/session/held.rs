//! A session that is held: everything that comes is handed over as it stands in the connection, and keep-alives are sent.
//! Owns the order of reading; judges no packet.

use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use model::fault::Fault;
use model::phase::Phase;
use net::dial::io_fault;
use tokio::time::{Instant, sleep_until};
use wire::rtsp::{INTERLEAVED_BYTES, Method, Response, interleaved, public_methods};

use super::{Connection, Incoming, Playing, Way, owner};

/// What came for a track, as it stands in the connection.
pub(in super::super) struct Piece<'b> {
    /// Index of the track in the description.
    pub(in super::super) track: usize,
    /// RTP, or what the server sends in its place.
    pub(in super::super) bytes: &'b [u8],
    /// It came where reports (RTCP) belong.
    pub(in super::super) report: bool,
}

/// Takes what comes of a session that is held.
pub(in super::super) trait Sink: Send {
    /// Takes everything that came in one read, the last of it so long ago. An error ends the session.
    fn take<'b>(&mut self, age: Duration, pieces: &mut dyn Iterator<Item = Piece<'b>>) -> Result<(), Fault>;
}

impl Playing {
    /// Reads everything that comes until the session ends, and keeps it alive meanwhile. Answers with why it ended. Safe to
    /// drop.
    pub(in super::super) async fn hold(
        &mut self,
        phase: Phase,
        connection: &mut Connection,
        sink: &mut dyn Sink,
        gather: Duration,
    ) -> Fault {
        // Where packets come as datagrams the connection is quiet, and there is nothing to gather.
        if self.lanes.iter().any(|lane| matches!(lane.way, Way::Channels(..))) {
            connection.gather(gather);
        }
        let mut heart = Heart { method: Method::Options, refused: false, again: false };
        let mut due = pin!(sleep_until(self.keep_alive_at.unwrap_or_else(Instant::now)));
        loop {
            let next = poll_fn(|cx| {
                if let Poll::Ready(next) = self.poll_held(phase, connection, sink, cx) {
                    return Poll::Ready(next);
                }
                due.as_mut().poll(cx).map(|()| Ok(Next::KeepAlive))
            });
            let ended = match next.await {
                Ok(Next::KeepAlive) => {
                    due.as_mut().reset(Instant::now() + self.pause());
                    connection.breathe();
                    connection.send(phase, &heart.method, &self.aggregate, &[]).await.map(|_cseq| ())
                }
                Ok(Next::Message) => match connection.incoming(phase).await {
                    Ok(Incoming::Reply(reply)) => {
                        if heart.heard(phase, connection, &reply) {
                            due.as_mut().reset(Instant::now());
                        }
                        Ok(())
                    }
                    Ok(Incoming::Packet(channel, bytes)) => {
                        let piece = owner(&self.lanes, channel);
                        let piece = piece.map(|(track, report)| Piece { track, bytes: &bytes, report });
                        sink.take(connection.age(), &mut piece.into_iter())
                    }
                    Err(fault) => Err(fault),
                },
                Err(fault) => Err(fault),
            };
            if let Err(fault) = ended {
                return fault;
            }
        }
    }

    /// Gives everything that is there to `sink`; ready when something else has to be done.
    fn poll_held(
        &mut self,
        phase: Phase,
        connection: &mut Connection,
        sink: &mut dyn Sink,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Next, Fault>> {
        for lane in &mut self.lanes {
            let Way::Ports(pair) = &mut lane.way else { continue };
            let track = lane.track;
            // All packets that are there come before the reports on them: the last report may say that it was the end.
            for report in [false, true] {
                loop {
                    let mut taken = Ok(());
                    let polled = pair.poll_bulk(cx, !report, &mut |bytes| {
                        taken = sink.take(Duration::ZERO, &mut std::iter::once(Piece { track, bytes, report }));
                    });
                    match polled {
                        Poll::Ready(Ok(())) => taken?,
                        Poll::Ready(Err(e)) => return Poll::Ready(Err(io_fault(phase, &e))),
                        Poll::Pending => break,
                    }
                }
            }
        }
        loop {
            let (lanes, mut taken) = (&self.lanes, Ok(()));
            let polled = connection.poll_packets(phase, cx, &mut |bytes, age| {
                let mut rest = bytes;
                let mut pieces = std::iter::from_fn(|| {
                    loop {
                        let (channel, packet) = interleaved(rest)?;
                        rest = &rest[INTERLEAVED_BYTES + packet.len()..];
                        if let Some((track, report)) = owner(lanes, channel) {
                            return Some(Piece { track, bytes: packet, report });
                        }
                    }
                });
                taken = sink.take(age, &mut pieces);
                bytes.len() - rest.len()
            });
            let more = ready!(polled)?;
            taken?;
            if !more {
                return Poll::Ready(Ok(Next::Message));
            }
        }
    }
}

/// What a session that is held has to do next, beside taking packets.
enum Next {
    KeepAlive,
    /// Something else than a packet came.
    Message,
}

/// How a session that is held is kept alive: by OPTIONS, which every server knows, until it says that it knows GET_PARAMETER,
/// which is what some count as a sign of life.
struct Heart {
    method: Method,
    /// GET_PARAMETER was refused.
    refused: bool,
    /// The last one was sent because the one before it was refused.
    again: bool,
}

impl Heart {
    /// Takes the reply to a keep-alive; true when another is to be sent at once.
    fn heard(&mut self, phase: Phase, connection: &mut Connection, reply: &Response) -> bool {
        if reply.is_success() {
            self.again = false;
            let better = self.method == Method::Options && !self.refused;
            if better && public_methods(&reply.headers).contains(&Method::GetParameter) {
                // What was sent may not have counted.
                self.method = Method::GetParameter;
                return true;
            }
            return false;
        }
        let worth = match reply.status {
            // A session that is not signed in ends by itself, and what is seen then is what is told.
            401 => connection.challenged(phase, reply).is_ok(),
            _ if self.method == Method::GetParameter => {
                (self.method, self.refused) = (Method::Options, true);
                true
            }
            _ => false,
        };
        worth && !std::mem::replace(&mut self.again, true)
    }
}
