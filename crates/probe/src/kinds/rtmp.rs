//! Kind `rtmp`: RTMP 1.0 and Enhanced RTMP over TCP or TLS, played until a coded frame of every track has arrived. Owns the
//! order of a look; the parts are in the folder.
//!
//! A look is handshake, connect, createStream, play, messages. A frame counts after its codec's configuration and when its
//! units are whole. Quirks met: servers that agree to play what nobody publishes and stay silent (nginx-rtmp), that hang up
//! in place of a refusal (the same), metadata that names no codec, redirects in a refusal, the sign-in of Adobe's servers.

mod connection;
mod hold;
mod media;
mod place;
mod session;

use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Reading, fact};
use model::secret::Secret;
use model::target::Target;
use net::attempt::Attempt;
use net::dial;
use net::trust::{TLS_FIELDS, TlsOptions};
use wire::rtmp::Content;

use self::connection::{Connection, Incoming};
use self::media::{Selection, Tally};
use self::place::Place;
use self::session::{Connected, SignIn, Turn};
use crate::kind::{
    AUTH_FIELDS, BoxFuture, HOLD_FIELDS, Kind, LOOK_GATHER_BYTES, LOOK_GATHER_STREAM, Probe, address_of, join_fields,
    options_node, within,
};
use crate::live::Live;

/// Redirects followed: a load balancer needs one.
const MAX_REDIRECTS: i64 = 3;
/// Longest name of an application.
const MAX_APP_BYTES: usize = 1024;

const OWN_FIELDS: [Field; 3] = [
    Field::new(
        "tracks",
        Type::Choice(&["all", "video", "audio"]),
        "Which tracks must send media: all that the stream announces or sends, or one.",
    )
    .default("all"),
    Field::new(
        "app",
        Type::Text { max: MAX_APP_BYTES },
        "Name of the application, when it is not the first part of the URL's path (the first two of three or more).",
    ),
    Field::new(
        "stream_key",
        Type::Secret,
        "Stream key, when it does not stand in the URL: all of the URL's path is the application then. Never shown \
         again.",
    ),
];
static FIELDS: [Field; 11] = join_fields(&[&OWN_FIELDS, &HOLD_FIELDS, &AUTH_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "rtmp",
    schemes: &["rtmp", "rtmps"],
    summary: "RTMP: plays the stream until a coded frame of every track arrives",
    example: "\
name: Studio feed
url: rtmps://live.example.com/app
kind: rtmp
stream_key: secret
tracks: video
",
    media: true,
    holds: true,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Rtmp::new(target)?)),
    guess: |address| if matches!(address.scheme(), "rtmp" | "rtmps") { 10 } else { 0 },
};

/// A target of this kind, ready to be looked at.
struct Rtmp {
    address: Address,
    tls: TlsOptions,
    app: Option<String>,
    key: Option<Secret>,
    tracks: Selection,
    depth: Depth,
}

impl Rtmp {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let tls = TlsOptions::read(&options, &mut problems);
        let tracks = match options.text("tracks").as_deref() {
            Some("video") => Selection::Video,
            Some("audio") => Selection::Audio,
            _ => Selection::All,
        };
        let probe = Self {
            address: address_of(target, &options),
            tls,
            app: options.text("app").filter(|app| !app.is_empty()),
            key: options.secret("stream_key").filter(|key| !key.is_empty()),
            tracks,
            depth: target.depth,
        };
        if probe.place(&probe.address).is_none() {
            problems.push(
                Problem::new(None, "url", "the URL names no stream")
                    .with_remedy("as in rtmp://192.0.2.10/live/camera1: application and stream"),
            );
        }
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    fn place(&self, address: &Address) -> Option<Place> {
        Place::of(address, self.app.as_deref(), self.key.as_ref())
    }

    async fn dial(&self, at: &mut Attempt<'_>, address: &Address, reading: &mut Reading) -> Result<Connection, Fault> {
        let tls = (address.scheme() == "rtmps").then_some(&self.tls);
        let stream = dial::connect(at, address, tls, reading).await?;
        let connection = at.run(Phase::Handshake, Connection::open(stream)).await?;
        reading.proven = Some(Depth::Reach);
        Ok(connection)
    }

    /// Connects until an application takes us: signing in and redirects want a new connection each time.
    async fn arrive(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(Connection, Place), Fault> {
        let mut address = self.address.clone();
        let mut sign_in = SignIn::new(&address);
        let mut redirects = 0;
        loop {
            let place = self
                .place(&address)
                .ok_or_else(|| Fault::protocol(Phase::Play, format!("the redirect to {address} names no stream")))?;
            let mut connection = self.dial(at, &address, reading).await?;
            match at.run(Phase::Play, session::connect(&mut connection, &place, &mut sign_in)).await? {
                Connected::Here(server) => {
                    if let Some(server) = server {
                        reading.text(fact::SERVER, server);
                    }
                    return Ok((connection, place));
                }
                Connected::Again => {}
                Connected::Moved(to) => {
                    redirects += 1;
                    address = follow(&address, &to, &place, redirects)?;
                    sign_in = SignIn::new(&address);
                    reading.int(fact::REDIRECTS, redirects);
                }
            }
        }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        if self.depth == Depth::Reach {
            self.dial(at, &self.address, reading).await?;
            return Ok(());
        }
        self.play(at, self.depth, reading).await.map(|_held| ())
    }

    /// Plays until enough came for this depth.
    async fn play(
        &self,
        at: &mut Attempt<'_>,
        depth: Depth,
        reading: &mut Reading,
    ) -> Result<(Connection, Place, Tally), Fault> {
        let (mut connection, place) = self.arrive(at, reading).await?;
        let mut tally = Tally::new(self.tracks, depth);
        at.run(Phase::Play, start(&mut connection, &place, &mut tally)).await?;
        let ended = at.run(Phase::Media, receive(&mut connection, &place, &mut tally)).await;
        tally.note(reading);
        match ended {
            Ok(None) => {
                reading.proven = Some(depth);
                Ok((connection, place, tally))
            }
            Ok(Some(why)) => Err(tally.fault(place.shown(), &why)),
            Err(fault) if fault.kind == FaultKind::TimedOut => Err(tally.fault(place.shown(), &within(at.limit()))),
            Err(fault) => Err(fault),
        }
    }

    /// Holds a session: see [`Probe::hold`].
    async fn hold(&self, at: &mut Attempt<'_>, live: &Live) -> Result<(), Fault> {
        let mut reading = Reading::default();
        let played = self.play(at, Depth::Media, &mut reading).await;
        live.reading(|known| *known = reading);
        let (mut connection, place, mut tally) = played?;
        live.opened(at);
        Err(hold::hold(&mut connection, &place, &mut tally, live).await)
    }
}

impl Probe for Rtmp {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }

    fn hold<'a>(&'a self, at: &'a mut Attempt<'_>, live: &'a Live) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.hold(at, live))
    }
}

/// Where a redirect leads: to the same stream when it names only the application.
fn follow(from: &Address, to: &str, place: &Place, redirects: i64) -> Result<Address, Fault> {
    let fault = |detail: String| Fault::protocol(Phase::Play, detail);
    if redirects > MAX_REDIRECTS {
        return Err(fault(format!("more than {MAX_REDIRECTS} redirects")));
    }
    let nowhere = |e| fault(format!("the redirect leads nowhere: {e}"));
    let mut next = from.join(to).map_err(nowhere)?;
    if let Some(whole) = place.with_stream(&next) {
        next = from.join(&whole).map_err(nowhere)?;
    }
    match next.scheme() {
        "rtmp" | "rtmps" => Ok(next),
        other => Err(fault(format!("the redirect leads to {other}, which is not RTMP"))),
    }
}

/// Asks for the stream and waits until the server agrees or media comes.
async fn start(connection: &mut Connection, place: &Place, tally: &mut Tally) -> Result<(), Fault> {
    session::play(connection, place).await?;
    loop {
        match connection.next(Phase::Play).await? {
            Incoming::Message(Content::Command(command), _) => match session::follow(&command, place)? {
                Turn::Started => return Ok(()),
                Turn::Ended(code) => {
                    let detail = format!("{} ended before it began ({code})", place.shown());
                    return Err(Fault::new(FaultKind::NoMedia, Phase::Play, detail));
                }
                Turn::None => {}
            },
            Incoming::Message(content, _) => {
                tally.take(&content);
                if tally.has_begun() {
                    return Ok(());
                }
            }
            Incoming::End => {
                let shown = place.shown();
                let detail = format!(
                    "the server closed the connection when asked to play {shown}: some refuse like that when a key is \
                     missing or wrong"
                );
                return Err(Fault::new(FaultKind::Forbidden, Phase::Play, detail));
            }
        }
    }
}

/// Takes messages until the tally is content; or the words for how the stream ended before that.
async fn receive(connection: &mut Connection, place: &Place, tally: &mut Tally) -> Result<Option<String>, Fault> {
    let mut gathers = false;
    loop {
        // Servers send sound at once and pictures from the next key frame on: up to then being woken is all that a look costs.
        if tally.has_begun() && !std::mem::replace(&mut gathers, true) {
            connection.gather(LOOK_GATHER_STREAM, LOOK_GATHER_BYTES);
        }
        let next = connection.next(Phase::Media);
        let incoming = match tally.end() {
            Some(end) if end <= tokio::time::Instant::now() => return Ok(None),
            Some(end) => match tokio::time::timeout_at(end, next).await {
                Ok(incoming) => incoming?,
                Err(_quiet) => return Ok(None),
            },
            None => next.await?,
        };
        let ended = match incoming {
            Incoming::Message(Content::Command(command), _) => match session::follow(&command, place)? {
                Turn::Ended(code) => format!("before the stream ended ({code})"),
                Turn::Started | Turn::None => continue,
            },
            Incoming::Message(content, _) => {
                tally.take(&content);
                continue;
            }
            Incoming::End => "before the server closed the connection".to_owned(),
        };
        // What had come was complete; only a further track was still being waited for.
        return Ok(if tally.end().is_some() { None } else { Some(ended) });
    }
}
