//! One RTSP session: DESCRIBE, SETUP of the selected tracks, PLAY, then packets by track. Owns the order of requests and
//! what a status code means; judges no packet.

mod held;

use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use net::attempt::Attempt;
use net::dial::io_fault;
use net::udp::PortPair;
use tokio::time::{Instant, timeout_at};
use wire::rtsp::{Lower, Method, Response, SessionHeader, Transport};
use wire::sdp::{self, Direction, Media, MediaKind};
use wire::tracks::{self, TrackInfo};

use super::connection::{Connection, Incoming};
pub(super) use held::{Piece, Sink};

/// Tracks set up in one session at most: cameras announce two or three, and each costs a round trip.
const MAX_TRACKS: usize = 16;
/// Life of a session whose server names none (RFC 2326 section 12.37).
const DEFAULT_SESSION_LIFE: Duration = Duration::from_secs(60);
/// Shortest pause between two keep-alives, whatever the server claims.
const MIN_KEEP_ALIVE: Duration = Duration::from_secs(1);

/// Which tracks are selected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// Picture and sound.
    All,
    /// Picture alone.
    Video,
    /// Sound alone.
    Audio,
}

/// What DESCRIBE told.
pub(crate) struct Description {
    /// URI that means the whole session.
    aggregate: String,
    base: String,
    pub(super) session: sdp::Session,
    pub(super) tracks: Vec<TrackInfo>,
}

/// What came of DESCRIBE.
pub(super) enum Described {
    Here(Description),
    /// The stream lives elsewhere.
    Moved(String),
}

/// What came of SETUP.
pub(super) enum SetUp {
    Ready(Playing),
    /// 461: the server does not do this transport.
    Unsupported(Fault),
}

/// One selected track and the way its packets come.
struct Lane {
    /// Index in the description.
    track: usize,
    way: Way,
}

enum Way {
    /// Channels of the control connection: packets, and reports on them.
    Channels(u8, u8),
    /// The even port is for packets, the odd one for reports.
    Ports(PortPair),
}

/// Something that came for a selected track.
pub(super) struct Arrival {
    /// Index of the track in the description.
    pub(super) track: usize,
    /// RTP, or what the server sends in its place.
    pub(super) bytes: Bytes,
    /// It came where reports (RTCP) belong.
    pub(super) report: bool,
}

/// A session with its tracks set up.
pub(crate) struct Playing {
    lanes: Vec<Lane>,
    life: Duration,
    keep_alive_at: Option<Instant>,
    aggregate: String,
}

/// DESCRIBE of `address`.
pub(super) async fn describe(
    at: &mut Attempt<'_>,
    connection: &mut Connection,
    address: &Address,
) -> Result<Described, Fault> {
    let uri = address.expose_url().as_str();
    let fields = [("Accept", "application/sdp")];
    let asked = connection.ask(Phase::Describe, Method::Describe, uri, &fields);
    let reply = at.run(Phase::Describe, asked).await?;
    if let 301 | 302 | 303 | 305 | 307 | 308 = reply.status {
        let to = reply.headers.get("Location").map(str::trim).filter(|l| !l.is_empty());
        return match to {
            Some(to) => Ok(Described::Moved(to.to_owned())),
            None => Err(Fault::protocol(Phase::Describe, format!("{} and does not say where to", said(&reply)))),
        };
    }
    check(&reply, Phase::Describe, &Method::Describe)?;
    let session = sdp::parse(&reply.body)
        .map_err(|e| Fault::protocol(Phase::Describe, format!("the description cannot be read: {e}")))?;
    let base = sdp::base_url(uri, &reply.headers);
    let aggregate = sdp::resolve_control(&base, session.control.as_deref());
    let tracks = tracks::tracks(&session);
    Ok(Described::Here(Description { aggregate, base, session, tracks }))
}

impl Description {
    /// Indices of the tracks to set up.
    ///
    /// Passed over are tracks that are switched off, that are not RTP, and back channels: a `sendonly` track beside a
    /// `recvonly` one of the same kind is where an ONVIF camera listens (ONVIF Streaming Specification 5.3).
    pub(super) fn select(&self, selection: Selection) -> Result<Vec<usize>, Fault> {
        let wanted = |media: &Media| match media.kind {
            MediaKind::Video => selection != Selection::Audio,
            MediaKind::Audio => selection != Selection::Video,
            _ => false,
        };
        let receives =
            |kind| self.session.medias.iter().any(|m| m.kind == kind && m.direction == Direction::ReceiveOnly);
        let takes = |media: &Media| match media.direction {
            Direction::Inactive => false,
            Direction::SendOnly => !receives(media.kind),
            Direction::SendReceive | Direction::ReceiveOnly => true,
        };
        let medias = self.session.medias.iter().enumerate();
        let found: Vec<_> =
            medias.filter(|(_, m)| wanted(m) && takes(m) && !m.formats.is_empty()).map(|(i, _)| i).collect();
        let fault = |kind, detail: String| Err(Fault::new(kind, Phase::Describe, detail));
        match (found.len(), selection) {
            (0, Selection::All) => {
                fault(FaultKind::NoMedia, "the description announces neither picture nor sound".to_owned())
            }
            (0, Selection::Video) => fault(FaultKind::NoMedia, "the description announces no video track".to_owned()),
            (0, Selection::Audio) => fault(FaultKind::NoMedia, "the description announces no audio track".to_owned()),
            (n, _) if n > MAX_TRACKS => fault(
                FaultKind::TooLarge,
                format!("the description announces {n} tracks, at most {MAX_TRACKS} are set up"),
            ),
            _ => Ok(found),
        }
    }
}

/// SETUP of the tracks over one transport.
pub(super) async fn set_up(
    at: &mut Attempt<'_>,
    connection: &mut Connection,
    description: &Description,
    selected: &[usize],
    lower: Lower,
) -> Result<SetUp, Fault> {
    let mut lanes = Vec::with_capacity(selected.len());
    for (place, &track) in selected.iter().enumerate() {
        let uri = sdp::resolve_control(&description.base, description.session.medias[track].control.as_deref());
        let (offer, ports) = offer(connection, place, lower).await?;
        let transport = offer.to_string();
        let fields = [("Transport", transport.as_str())];
        let asked = connection.ask(Phase::Setup, Method::Setup, &uri, &fields);
        let reply = at.run(Phase::Setup, asked).await?;
        if reply.status == 461 {
            return Ok(SetUp::Unsupported(status_fault(&reply, Phase::Setup, &Method::Setup)));
        }
        check(&reply, Phase::Setup, &Method::Setup)?;
        if let Some(field) = reply.headers.get("Session") {
            let session = SessionHeader::parse(field).map_err(|e| Fault::protocol(Phase::Setup, e.to_string()))?;
            connection.keep(session, &description.aggregate);
        }
        lanes.push(Lane { track, way: agreed(&reply, &offer, ports)? });
    }
    let life = connection.session().and_then(|s| s.timeout_s).map(|s| Duration::from_secs(s.into()));
    Ok(SetUp::Ready(Playing {
        lanes,
        life: life.unwrap_or(DEFAULT_SESSION_LIFE),
        keep_alive_at: None,
        aggregate: description.aggregate.clone(),
    }))
}

/// The transport to ask for, with the ports opened for it.
async fn offer(connection: &Connection, place: usize, lower: Lower) -> Result<(Transport, Option<PortPair>), Fault> {
    if lower == Lower::Tcp {
        // At most MAX_TRACKS tracks: the channels fit a byte.
        let channel = u8::try_from(place * 2).unwrap_or(u8::MAX - 1);
        return Ok((Transport::tcp(channel, channel + 1), None));
    }
    let opened = async {
        let (local, peer) = connection.addresses()?;
        let pair = PortPair::open(local.ip(), peer.ip()).await?;
        let (rtp, rtcp) = pair.ports()?;
        Ok::<_, std::io::Error>((Transport::udp(rtp, rtcp), Some(pair)))
    };
    opened.await.map_err(|e| {
        Fault::new(FaultKind::Internal, Phase::Setup, format!("no pair of UDP ports could be opened here: {e}"))
    })
}

/// The way that the server agreed to, which may name other channels than asked for.
fn agreed(reply: &Response, offer: &Transport, ports: Option<PortPair>) -> Result<Way, Fault> {
    let answer = reply.headers.get("Transport").map(Transport::parse).transpose();
    let answer = answer.map_err(|e| Fault::protocol(Phase::Setup, e.to_string()))?;
    if let Some(other) = answer.as_ref().filter(|a| a.lower != offer.lower) {
        let detail = format!("the server was asked for {offer} and chose {other}");
        return Err(Fault::protocol(Phase::Setup, detail));
    }
    match ports {
        Some(pair) => Ok(Way::Ports(pair)),
        None => {
            let (rtp, rtcp) = answer.and_then(|a| a.interleaved).or(offer.interleaved).unwrap_or((0, 1));
            Ok(Way::Channels(rtp, rtcp))
        }
    }
}

impl Playing {
    /// PLAY of everything that was set up.
    pub(super) async fn play(&mut self, at: &mut Attempt<'_>, connection: &mut Connection) -> Result<(), Fault> {
        let fields = [("Range", "npt=0.000-")];
        let asked = connection.ask(Phase::Play, Method::Play, &self.aggregate, &fields);
        let reply = at.run(Phase::Play, asked).await?;
        self.keep_alive_at = Some(Instant::now() + self.pause());
        check(&reply, Phase::Play, &Method::Play)
    }

    fn pause(&self) -> Duration {
        (self.life / 2).max(MIN_KEEP_ALIVE)
    }

    /// The next packet or report. Keeps the session alive meanwhile. Safe to drop and call again.
    pub(super) async fn packet(&mut self, phase: Phase, connection: &mut Connection) -> Result<Arrival, Fault> {
        while let Some((channel, bytes)) = connection.early() {
            if let Some(arrival) = self.sort(channel, bytes) {
                return Ok(arrival);
            }
        }
        loop {
            let due = self.keep_alive_at.unwrap_or_else(|| Instant::now() + self.pause());
            let next = {
                let mut control = std::pin::pin!(connection.incoming(phase));
                timeout_at(due, poll_fn(|cx| self.poll(phase, control.as_mut(), cx))).await
            };
            match next {
                Ok(Ok(Some(arrival))) => return Ok(arrival),
                Ok(Ok(None)) => {}
                Ok(Err(fault)) => return Err(fault),
                Err(_due) => {
                    self.keep_alive_at = Some(Instant::now() + self.pause());
                    connection.send(phase, &Method::Options, &self.aggregate, &[]).await?;
                }
            }
        }
    }

    fn poll(
        &mut self,
        phase: Phase,
        control: std::pin::Pin<&mut impl Future<Output = Result<Incoming, Fault>>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Arrival>, Fault>> {
        for lane in &mut self.lanes {
            let Way::Ports(pair) = &mut lane.way else { continue };
            // All packets that are there come before the reports on them: the last report may say that it was the end.
            for report in [false, true] {
                let polled = if report { pair.poll_odd(cx) } else { pair.poll_even(cx) };
                if let Poll::Ready(got) = polled {
                    let track = lane.track;
                    let arrived = got.map(|bytes| Some(Arrival { track, bytes, report }));
                    return Poll::Ready(arrived.map_err(|e| io_fault(phase, &e)));
                }
            }
        }
        control.poll(cx).map_ok(|incoming| match incoming {
            Incoming::Packet(channel, bytes) => self.sort(channel, bytes),
            Incoming::Reply(_) => None,
        })
    }

    /// Whose packet or report it is that came on a channel of the control connection.
    fn sort(&self, channel: u8, bytes: Bytes) -> Option<Arrival> {
        owner(&self.lanes, channel).map(|(track, report)| Arrival { track, bytes, report })
    }

    /// Datagrams from elsewhere than the server.
    pub(super) fn strangers(&self) -> u64 {
        let pairs = self.lanes.iter().map(|lane| match &lane.way {
            Way::Ports(pair) => pair.strangers(),
            Way::Channels(..) => 0,
        });
        pairs.sum()
    }
}

/// Whose a channel of the control connection is, and whether it is for reports.
fn owner(lanes: &[Lane], channel: u8) -> Option<(usize, bool)> {
    let of = |report: bool| {
        let found = lanes.iter().find(|lane| match lane.way {
            Way::Channels(rtp, rtcp) => channel == if report { rtcp } else { rtp },
            Way::Ports(_) => false,
        });
        found.map(|lane| (lane.track, report))
    };
    of(false).or_else(|| of(true))
}

fn check(reply: &Response, phase: Phase, method: &Method) -> Result<(), Fault> {
    if reply.is_success() { Ok(()) } else { Err(status_fault(reply, phase, method)) }
}

/// What a status other than success means in answer to `method`.
pub(super) fn status_fault(reply: &Response, phase: Phase, method: &Method) -> Fault {
    let kind = match reply.status {
        401 | 407 => FaultKind::AuthRequired,
        403 => FaultKind::Forbidden,
        404 | 410 => FaultKind::NotFound,
        454 if *method == Method::Describe => FaultKind::NotFound,
        _ => FaultKind::Protocol,
    };
    Fault::new(kind, phase, format!("{} to {method}", said(reply)))
}

fn said(reply: &Response) -> String {
    let reason: String = reply.reason.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("the server answers {} {}", reply.status, reason.trim()).trim_end().to_owned()
}
