//! Kind `rtsp`: RTSP 1.0 (RFC 2326) over TCP or TLS, until the first RTP packet of every selected track, and longer where
//! media must be seen to keep coming. Owns the order of a look; the parts are in the folder.
//!
//! A look is DESCRIBE, SETUP of each track, PLAY, packets, TEARDOWN. OPTIONS is sent for depth `reach` alone: elsewhere
//! it would cost a round trip and prove nothing that DESCRIBE does not. Quirks met: channels other than asked for,
//! packets before the reply to PLAY, replies without CSeq, picture size told by the packets alone (cameras without
//! `sprop-parameter-sets`), back channels announced as tracks.

mod auth;
mod connection;
mod flow;
mod hold;
mod inband;
mod media;
mod session;
pub(crate) mod view;

use std::time::Duration;

use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Media, Reading, Track, fact};
use model::target::Target;
use net::attempt::Attempt;
use net::dial;
use net::trust::{TLS_FIELDS, TlsOptions};
use wire::rtp::Header;
use wire::rtsp::{Lower, Method};
use wire::sdp::MediaKind;
use wire::tracks::{self, TrackInfo};

use self::connection::Connection;
use self::flow::{Flow, Meter};
use self::hold::Ear;
use self::inband::Sniffer;
use self::media::Tally;
use self::session::{Described, Description, Playing, Selection, SetUp};
use crate::kind::{AUTH_FIELDS, BoxFuture, HOLD_FIELDS, Kind, Probe, address_of, join_fields, options_node};
use crate::live::Live;

/// Redirects followed: a load balancer needs one.
const MAX_REDIRECTS: i64 = 3;
/// How much longer a look may take to learn a picture size that only the packets tell: parameter sets come with key frames,
/// which most cameras send at least once a second.
const IN_BAND_WAIT: Duration = Duration::from_secs(1);

const OWN_FIELDS: [Field; 4] = [
    Field::new(
        "transport",
        Type::Choice(&["auto", "tcp", "udp"]),
        "How packets travel: in the RTSP connection (tcp), as datagrams (udp), or the first and, when the server does \
         not do that, the second (auto).",
    )
    .default("auto"),
    Field::new(
        "tracks",
        Type::Choice(&["all", "video", "audio"]),
        "Which tracks must send media. Metadata tracks are shown and never waited for.",
    )
    .default("all"),
    Field::new(
        "flow",
        Type::Duration { min: Duration::ZERO, max: flow::MAX_FLOW },
        "How long media must keep coming after the first packet of every track; 0s ends the look there. Frame rate, bit \
         rate and loss are measured meanwhile. At least 1 s shorter than timeout; counts as phase check.",
    )
    .default("0s"),
    Field::new(
        "max_gap",
        Type::Duration { min: flow::MIN_GAP, max: flow::MAX_GAP },
        "With flow: the longest silence of a track that is accepted, at most as long as flow itself.",
    )
    .default("1s"),
];
static FIELDS: [Field; 12] = join_fields(&[&OWN_FIELDS, &HOLD_FIELDS, &AUTH_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "rtsp",
    schemes: &["rtsp", "rtsps"],
    summary: "RTSP: plays the stream until media of every track arrives",
    example: "\
name: Front door
url: rtsp://viewer:secret@192.0.2.10:554/Streaming/Channels/101
kind: rtsp
transport: tcp
tracks: video
",
    media: true,
    holds: true,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Rtsp::new(target)?)),
    guess: |address| if matches!(address.scheme(), "rtsp" | "rtsps") { 10 } else { 0 },
};

/// A target of this kind, ready to be looked at.
pub(crate) struct Rtsp {
    address: Address,
    tls: TlsOptions,
    ways: &'static [Lower],
    tracks: Selection,
    depth: Depth,
    flow: Option<Flow>,
}

impl Rtsp {
    pub(crate) fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let tls = TlsOptions::read(&options, &mut problems);
        let address = address_of(target, &options);
        let ways: &'static [Lower] = match options.text("transport").as_deref() {
            Some("tcp") => &[Lower::Tcp],
            Some("udp") => &[Lower::Udp],
            _ => &[Lower::Tcp, Lower::Udp],
        };
        let tracks = match options.text("tracks").as_deref() {
            Some("video") => Selection::Video,
            Some("audio") => Selection::Audio,
            _ => Selection::All,
        };
        let flow = Flow::read(&options, target.timeout, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self { address, tls, ways, tracks, depth: target.depth, flow })
    }

    /// Connects to `address`, which may be where a redirect led.
    async fn dial(&self, at: &mut Attempt<'_>, address: &Address, reading: &mut Reading) -> Result<Connection, Fault> {
        let tls = (address.scheme() == "rtsps").then_some(&self.tls);
        let stream = dial::connect(at, address, tls, reading).await?;
        Ok(Connection::new(stream, address.credentials().cloned()))
    }

    /// Connects and asks for the description, following redirects.
    async fn arrive(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(Connection, Description), Fault> {
        let mut address = self.address.clone();
        let mut redirects = 0;
        loop {
            let mut connection = self.dial(at, &address, reading).await?;
            let described = session::describe(at, &mut connection, &address).await;
            connection.note(reading);
            match described? {
                Described::Here(description) => return Ok((connection, description)),
                Described::Moved(to) => {
                    redirects += 1;
                    address = follow(&address, &to, redirects)?;
                    reading.int(fact::REDIRECTS, redirects);
                }
            }
        }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        if self.depth == Depth::Reach {
            return self.reach(at, reading).await;
        }
        let (mut connection, description, selected) = self.describe(at, reading).await?;
        if self.depth == Depth::Describe {
            return Ok(());
        }
        let played = self.play(at, &mut connection, &description, &selected, reading).await;
        connection.note(reading);
        connection.leave().await;
        played
    }

    /// Holds a session: see [`Probe::hold`].
    async fn hold(&self, at: &mut Attempt<'_>, live: &Live) -> Result<(), Fault> {
        let mut reading = Reading::default();
        let described = self.describe(at, &mut reading).await;
        live.reading(|known| known.clone_from(&reading));
        let (mut connection, description, selected) = described?;
        let mut tally = Tally::new(&description.session.medias, &selected);
        let mut ear = Ear::new(live, &description, &selected);
        let opened = async {
            let mut playing = set_up(at, &mut connection, &description, &selected, self.ways, &mut reading).await?;
            playing.play(at, &mut connection).await?;
            live.reading(|known| known.clone_from(&reading));
            let ended = at
                .run(Phase::Media, async {
                    while !tally.complete() {
                        let arrival = playing.packet(Phase::Media, &mut connection).await?;
                        tally.arrived(&arrival);
                        ear.arrived(&arrival)?;
                    }
                    Ok(())
                })
                .await;
            live.reading(|known| proven(&description, &tally, known));
            ended.map_err(|fault| tally.explained(fault, at.limit(), playing.strangers()))?;
            Ok(playing)
        }
        .await;
        live.reading(|known| connection.note(known));
        let mut playing = match opened {
            Ok(playing) => playing,
            Err(fault) => {
                connection.leave().await;
                return Err(fault);
            }
        };
        live.reading(|known| known.proven = Some(Depth::Media));
        live.opened(at);
        Err(playing.hold(Phase::Media, &mut connection, &mut ear, live.gather()).await)
    }

    /// Connects and asks for the description; answers with the tracks to set up, too.
    async fn describe(
        &self,
        at: &mut Attempt<'_>,
        reading: &mut Reading,
    ) -> Result<(Connection, Description, Vec<usize>), Fault> {
        let (connection, description) = self.arrive(at, reading).await?;
        reading.tracks = description.tracks.iter().map(track).collect();
        let selected = description.select(self.tracks)?;
        reading.proven = Some(Depth::Describe);
        Ok((connection, description, selected))
    }

    /// Any reply to OPTIONS shows that the server is there, a refusal too.
    async fn reach(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let mut connection = self.dial(at, &self.address, reading).await?;
        let asked = connection.ask(Phase::Options, Method::Options, self.address.expose_url().as_str(), &[]);
        at.run(Phase::Options, asked).await?;
        connection.note(reading);
        reading.proven = Some(Depth::Reach);
        Ok(())
    }

    async fn play(
        &self,
        at: &mut Attempt<'_>,
        connection: &mut Connection,
        description: &Description,
        selected: &[usize],
        reading: &mut Reading,
    ) -> Result<(), Fault> {
        let mut playing = set_up(at, connection, description, selected, self.ways, reading).await?;
        playing.play(at, connection).await?;
        let mut source = Source { connection, playing: &mut playing, sniffers: sniffers(selected, reading), reading };
        let mut tally = Tally::new(&description.session.medias, selected);
        let ended = source.receive(at, description, &mut tally, self.flow.as_ref()).await;
        reading.int(fact::RTP_PACKETS, i64::try_from(tally.packets()).unwrap_or(i64::MAX));
        reading.int(fact::RTP_LOST, i64::try_from(tally.lost()).unwrap_or(i64::MAX));
        let expected = tally.packets().saturating_add(tally.lost());
        if expected > 0 {
            reading.num(fact::LOSS_RATIO, tally.lost() as f64 / expected as f64);
        }
        ended
    }
}

impl Probe for Rtsp {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }

    fn hold<'a>(&'a self, at: &'a mut Attempt<'_>, live: &'a Live) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.hold(at, live))
    }
}

/// Where a redirect leads.
fn follow(from: &Address, to: &str, redirects: i64) -> Result<Address, Fault> {
    let fault = |detail: String| Fault::protocol(Phase::Describe, detail);
    if redirects > MAX_REDIRECTS {
        return Err(fault(format!("more than {MAX_REDIRECTS} redirects")));
    }
    let next = from.join(to).map_err(|e| fault(format!("the redirect leads nowhere: {e}")))?;
    match next.scheme() {
        "rtsp" | "rtsps" => Ok(next),
        other => Err(fault(format!("the redirect leads to {other}, which is not RTSP"))),
    }
}

/// SETUP over the first transport that the server does.
async fn set_up(
    at: &mut Attempt<'_>,
    connection: &mut Connection,
    description: &Description,
    selected: &[usize],
    ways: &[Lower],
    reading: &mut Reading,
) -> Result<Playing, Fault> {
    let mut refusal = None;
    for &lower in ways {
        match session::set_up(at, connection, description, selected, lower).await? {
            SetUp::Ready(playing) => {
                reading.text(fact::TRANSPORT, if lower == Lower::Tcp { "tcp" } else { "udp" });
                return Ok(playing);
            }
            SetUp::Unsupported(fault) => {
                // Tracks that were set up before the refusal belong to a session of their own.
                connection.leave().await;
                refusal = Some(fault);
            }
        }
    }
    Err(refusal.unwrap_or_else(|| Fault::new(FaultKind::Internal, Phase::Setup, "no transport to try")))
}

/// Where packets come from, and what they tell beside being there.
struct Source<'s> {
    connection: &'s mut Connection,
    playing: &'s mut Playing,
    sniffers: Vec<(usize, Sniffer)>,
    reading: &'s mut Reading,
}

impl Source<'_> {
    /// Waits for media of every selected track, then for as long as it must keep coming, then a little longer for a
    /// picture size that only the packets tell.
    async fn receive(
        &mut self,
        at: &mut Attempt<'_>,
        description: &Description,
        tally: &mut Tally,
        flow: Option<&Flow>,
    ) -> Result<(), Fault> {
        let ended = at
            .run(Phase::Media, async {
                while !tally.complete() {
                    self.next(Phase::Media, tally).await?;
                }
                Ok(())
            })
            .await;
        proven(description, tally, self.reading);
        ended.map_err(|fault| tally.explained(fault, at.limit(), self.playing.strangers()))?;
        self.reading.proven = Some(Depth::Media);
        if let Some(flow) = flow {
            let mut meter = Meter::new(&description.session.medias, tally);
            flow.watch(at, self, tally, &mut meter).await?;
            meter.note(self.reading);
        }
        if !self.sniffers.is_empty() {
            let more = async {
                while !self.sniffers.is_empty() {
                    self.next(Phase::Check, tally).await?;
                }
                Ok::<_, Fault>(())
            };
            // Media is proven: a size that stays unknown is no fault.
            let _ = at.run(Phase::Check, async { Ok(tokio::time::timeout(IN_BAND_WAIT, more).await) }).await;
        }
        Ok(())
    }

    /// Waits for the next packet or report and counts it; answers with the track, header and size of what was media.
    /// Safe to drop and call again.
    async fn next(&mut self, phase: Phase, tally: &mut Tally) -> Result<Option<(usize, Header, usize)>, Fault> {
        let arrival = self.playing.packet(phase, self.connection).await?;
        let Some((header, payload)) = tally.arrived(&arrival) else { return Ok(None) };
        let (track, tracks) = (arrival.track, &mut self.reading.tracks);
        self.sniffers.retain_mut(|(i, sniffer)| *i != track || !sniffer.push(&header, payload, &mut tracks[track]));
        Ok(Some((track, header, payload.len())))
    }
}

/// One sniffer for each selected track whose picture size is unknown.
fn sniffers(selected: &[usize], reading: &Reading) -> Vec<(usize, Sniffer)> {
    let unknown = |&&i: &&usize| reading.tracks.get(i).is_some_and(|t| t.media == Media::Video && t.width.is_none());
    let made = selected.iter().filter(unknown).map(|&i| Some((i, Sniffer::new(&reading.tracks[i].codec)?)));
    made.flatten().collect()
}

/// Marks tracks that sent packets as proven. When these are of another declared format than the preferred one, that format
/// is the track's.
fn proven(description: &Description, tally: &Tally, reading: &mut Reading) {
    for (index, payload_type) in tally.proven() {
        let media = &description.session.medias[index];
        let at = media.formats.iter().position(|f| f.payload_type == payload_type).unwrap_or(0);
        let Some(known) = reading.tracks.get_mut(index) else { continue };
        if at > 0 {
            *known = track(&tracks::track(&media::preferring(media, at)));
        }
        known.proven = true;
    }
}

/// A track as announced.
fn track(info: &TrackInfo) -> Track {
    let media = match info.media {
        MediaKind::Video => Media::Video,
        MediaKind::Audio => Media::Audio,
        MediaKind::Application | MediaKind::Text | MediaKind::Other => Media::Data,
    };
    let codec = if info.codec.is_empty() { "unknown" } else { info.codec.as_str() };
    Track {
        profile: info.profile.clone(),
        width: info.width,
        height: info.height,
        fps: info.fps,
        bitrate_bps: info.bitrate_bps,
        sample_rate_hz: info.sample_rate_hz,
        channels: info.channels.map(u32::from),
        ..Track::new(media, codec)
    }
}
