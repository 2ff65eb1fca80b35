//! Kind `mjpeg`: JPEG pictures over HTTP, as `multipart/x-mixed-replace`, one after the other without a frame, or a single
//! picture. Owns the picking of pictures out of the body, for the `http` kind too when it meets such a stream; the request
//! is the `http` kind's.
//!
//! A picture counts when its markers are sound from start to end; its size comes from the picture and not from headers.
//! Quirks met: boundaries with and without dashes, parts without a length, wrong or missing content types (the first bytes
//! decide then), text parts between pictures.

use bytes::{Bytes, BytesMut};
use model::address::Address;
use model::conf::{Field, Problem, Section, Type, words};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Media, Reading, Track, fact};
use model::target::Target;
use net::attempt::Attempt;
use net::http::{Body, HeaderName, HeaderValue, Method, Response};
use net::trust::{TLS_FIELDS, TlsOptions};
use tokio::time::Instant;
use wire::jpeg::{self, JpegInfo};
use wire::multipart::{MultipartError, Parser};

use super::http::fetch::{Ask, fetch, status_fault};
use crate::kind::{AUTH_FIELDS, BoxFuture, HOLD_FIELDS, Kind, Probe, address_of, join_fields, options_node};
use crate::live::{Live, Packet};

/// Redirects followed: cameras behind a portal need one or two.
const MAX_REDIRECTS: usize = 3;
/// Parts in a row that are no picture before the stream is called one without pictures.
const MAX_STRANGE_PARTS: u32 = 8;
/// Largest picture of a stream without parts (the same as the parser allows for parts).
const MAX_PICTURE_BYTES: usize = wire::multipart::MAX_PART_BYTES;
/// Bytes walked through in search of one picture's end, repetitions included: bounds what a peer can make us compute.
const MAX_WALKED_BYTES: usize = 8 * MAX_PICTURE_BYTES;
/// Bytes before the first picture of a stream without parts: device headers, if anything.
const MAX_PREAMBLE_BYTES: usize = 64 * 1024;
/// Shortest time over which a frame rate is measured: pictures that come at once come from a buffer.
const MIN_RATE_TIME_S: f64 = 0.005;

const ACCEPT: HeaderName = HeaderName::from_static("accept");

const OWN_FIELDS: [Field; 1] = [Field::new(
    "frames",
    Type::Integer { min: 1, max: 100 },
    "Pictures that must arrive before the deadline. With two or more the frame rate is measured.",
)
.default("1")];
static FIELDS: [Field; 9] = join_fields(&[&OWN_FIELDS, &HOLD_FIELDS, &AUTH_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "mjpeg",
    schemes: &["http", "https"],
    summary: "MJPEG over HTTP: whole JPEG pictures arrive",
    example: "\
name: Garage
url: http://viewer:secret@192.0.2.11/axis-cgi/mjpg/video.cgi
kind: mjpeg
frames: 2
",
    media: true,
    holds: true,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Mjpeg::new(target)?)),
    guess,
};

/// Paths of well-known cameras and of the programs that serve MJPEG, in lower case.
const HINTS: [&str; 11] = [
    "mjpg",
    "mjpeg",
    "video.cgi",
    "videostream.cgi",
    "action=stream",
    "motionjpeg",
    "faststream.jpg",
    "/img/video.",
    "getimage",
    "snapshot.jpg",
    "/snap.jp",
];

fn guess(address: &Address) -> u8 {
    if !matches!(address.scheme(), "http" | "https") {
        return 0;
    }
    let place = address.path_and_query().to_ascii_lowercase();
    let is_picture = address.expose_url().path().to_ascii_lowercase().ends_with(".jpg");
    if is_picture || HINTS.iter().any(|hint| place.contains(hint)) { 10 } else { 0 }
}

/// A target of this kind, ready to be looked at.
pub(crate) struct Mjpeg {
    address: Address,
    tls: TlsOptions,
    frames: u32,
    depth: Depth,
    /// Request headers beyond what every request has.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Mjpeg {
    pub(crate) fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let probe = Self {
            address: address_of(target, &options),
            tls: TlsOptions::read(&options, &mut problems),
            frames: options.integer("frames").and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
            depth: target.depth,
            headers: vec![(ACCEPT, HeaderValue::from_static("multipart/x-mixed-replace, image/jpeg, */*;q=0.5"))],
        };
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    /// The same asking with `headers`, too; one of ours that is among them gives way.
    pub(crate) fn with_headers(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.headers.retain(|(ours, _)| headers.iter().all(|(name, _)| name != ours));
        self.headers.extend(headers);
        self
    }

    /// Asks for the pictures; they are read with [`Pictures::next`].
    pub(crate) async fn open(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<Pictures, Fault> {
        let ask = Ask {
            method: Method::GET,
            address: &self.address,
            headers: &self.headers,
            body: None,
            tls: &self.tls,
            redirects: MAX_REDIRECTS,
            accepts: &|_| false,
        };
        let reply = fetch(at, &ask, reading).await?;
        if !(200..=299).contains(&reply.status) {
            return Err(status_fault(&reply, "200-299"));
        }
        Pictures::of(reply, reading)
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let mut pictures = self.open(at, reading).await?;
        if self.depth == Depth::Reach {
            return Ok(());
        }
        announce(reading);
        if self.depth == Depth::Describe {
            return Ok(());
        }
        watch(at, &mut pictures, self.frames, reading).await
    }

    /// Holds a session: see [`Probe::hold`].
    async fn hold(&self, at: &mut Attempt<'_>, live: &Live) -> Result<(), Fault> {
        let mut reading = Reading::default();
        let opened = async {
            let mut pictures = self.open(at, &mut reading).await?;
            announce(&mut reading);
            watch(at, &mut pictures, 1, &mut reading).await?;
            Ok(pictures)
        }
        .await;
        live.reading(|known| *known = reading);
        let mut pictures = opened?;
        live.opened(at);
        Err(hold(&mut pictures, live).await)
    }
}

/// Looks at a reply that calls itself a stream of pictures: one of them must come. The `http` kind asks this of replies that
/// it was not told to judge otherwise.
pub(super) async fn prove(at: &mut Attempt<'_>, reply: Response, reading: &mut Reading) -> Result<(), Fault> {
    let mut pictures = Pictures::of(reply, reading)?;
    announce(reading);
    watch(at, &mut pictures, 1, reading).await
}

/// Notes what a stream of pictures is before any has come.
fn announce(reading: &mut Reading) {
    reading.tracks = vec![Track::new(Media::Video, "mjpeg")];
    reading.proven = Some(Depth::Describe);
}

/// Waits for `frames` pictures and notes what they show.
async fn watch(at: &mut Attempt<'_>, pictures: &mut Pictures, frames: u32, reading: &mut Reading) -> Result<(), Fault> {
    let mut seen = 0;
    let ended = at.run(Phase::Media, count(pictures, frames, &mut seen, reading)).await;
    ended.map_err(|fault| match fault.kind {
        FaultKind::TimedOut => {
            let within = format!("within {}", words::duration_text(at.limit()));
            no_media(seen, frames, &within)
        }
        _ => fault,
    })
}

async fn count(pictures: &mut Pictures, frames: u32, seen: &mut u32, reading: &mut Reading) -> Result<(), Fault> {
    let mut first = None;
    while *seen < frames {
        let Some(picture) = pictures.next().await? else {
            return Err(no_media(*seen, frames, "before the stream ended"));
        };
        *seen += 1;
        let now = Instant::now();
        let began = *first.get_or_insert(now);
        let size = i64::try_from(picture.bytes.len()).unwrap_or(i64::MAX);
        reading.int(fact::FRAME_BYTES, size);
        reading.proven = Some(Depth::Media);
        let fps = rate(*seen, now.duration_since(began).as_secs_f64());
        if let Some(fps) = fps {
            reading.num(fact::MEASURED_FPS, fps);
        }
        if let Some(track) = reading.tracks.first_mut() {
            track.profile = Some(picture.info.profile.to_owned());
            track.width = Some(picture.info.width);
            track.height = Some(picture.info.height);
            track.proven = true;
            track.fps = fps;
        }
    }
    Ok(())
}

/// Pictures per second over `seconds`; unknown when there was too little to measure.
fn rate(pictures: u32, seconds: f64) -> Option<f64> {
    (pictures >= 2 && seconds >= MIN_RATE_TIME_S).then(|| {
        // Two decimals: more would pretend to a precision that a few pictures do not give.
        (f64::from(pictures - 1) / seconds * 100.0).round() / 100.0
    })
}

fn no_media(count: u32, wanted: u32, when: &str) -> Fault {
    let text = match (count, wanted) {
        (0, _) => format!("no picture arrived {when}"),
        (n, wanted) => format!("{n} of {wanted} pictures arrived {when}"),
    };
    Fault::new(FaultKind::NoMedia, Phase::Media, text)
}

/// How pictures stand in the body.
enum Form {
    /// In parts.
    Parts(Box<Parser>),
    /// One behind the other, or just one.
    Bare,
    /// The headers do not tell: the first bytes will.
    Unknown,
}

/// The form that a content type announces.
fn form(content_type: &str) -> Result<Form, Fault> {
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let wrong = |detail: String| Err(Fault::protocol(Phase::FirstByte, detail));
    match kind.as_str() {
        kind if kind.starts_with("multipart/") => match Parser::from_content_type(content_type) {
            Ok(parser) => Ok(Form::Parts(Box::new(parser))),
            Err(e) => wrong(format!("the multipart stream cannot be read: {e}")),
        },
        kind if kind.starts_with("text/") || matches!(kind, "application/json" | "application/xhtml+xml") => {
            wrong(format!("the reply is {kind}, not JPEG pictures"))
        }
        _ => Ok(Form::Unknown),
    }
}

/// A whole picture.
pub(crate) struct Picture {
    pub(crate) bytes: Bytes,
    pub(crate) info: JpegInfo,
}

/// Pictures as they arrive.
pub(crate) struct Pictures {
    body: Body,
    buffer: BytesMut,
    form: Form,
    /// Parts in a row that were no picture.
    strange: u32,
    /// Bytes of the buffer that were searched for the end of a picture.
    searched: usize,
    /// Bytes walked through for the picture that is arriving.
    walked: usize,
}

impl Pictures {
    /// The pictures of a good reply, none of them read yet; that there is one is noted as reached.
    fn of(mut reply: Response, reading: &mut Reading) -> Result<Self, Fault> {
        reading.proven = Some(Depth::Reach);
        let form = form(reply.header(HeaderName::from_static("content-type")).unwrap_or_default())?;
        reply.body.set_phase(Phase::Media);
        Ok(Self { body: reply.body, buffer: BytesMut::new(), form, strange: 0, searched: 0, walked: 0 })
    }

    /// The next picture; `None` when the stream has ended. To be run inside phase media: its waits have no deadline.
    pub(crate) async fn next(&mut self) -> Result<Option<Picture>, Fault> {
        loop {
            if let Some(picture) = self.take()? {
                return Ok(Some(picture));
            }
            if matches!(&self.form, Form::Parts(parser) if parser.is_ended()) {
                return Ok(None);
            }
            match self.body.next_chunk().await? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }

    /// The next picture in the buffer.
    fn take(&mut self) -> Result<Option<Picture>, Fault> {
        if matches!(self.form, Form::Unknown) {
            self.form = match self.buffer.as_ref() {
                [] | [b'-'] => return Ok(None),
                [b'-', b'-', ..] => {
                    let parser = Parser::from_content_type("multipart/x-mixed-replace");
                    Form::Parts(Box::new(parser.map_err(|e| Fault::protocol(Phase::Media, e.to_string()))?))
                }
                _ => Form::Bare,
            };
        }
        match &mut self.form {
            Form::Parts(parser) => {
                while let Some(part) = parser.decode(&mut self.buffer).map_err(|e| multipart_fault(&e))? {
                    match jpeg::inspect(&part.body) {
                        Ok(info) => {
                            self.strange = 0;
                            return Ok(Some(Picture { bytes: part.body, info }));
                        }
                        Err(e) => {
                            self.strange += 1;
                            if self.strange >= MAX_STRANGE_PARTS {
                                let kind = part.headers.get("Content-Type").unwrap_or("no content type");
                                let detail = format!("{} parts in a row are no picture ({kind}): {e}", self.strange);
                                return Err(Fault::new(FaultKind::NoMedia, Phase::Media, detail));
                            }
                        }
                    }
                }
                Ok(None)
            }
            Form::Bare | Form::Unknown => self.take_bare(),
        }
    }

    fn take_bare(&mut self) -> Result<Option<Picture>, Fault> {
        let Some(start) = jpeg::find_start(&self.buffer) else {
            return if self.buffer.len() > MAX_PREAMBLE_BYTES {
                let begin = self.buffer[..16].escape_ascii();
                Err(Fault::protocol(Phase::Media, format!("the reply is no JPEG picture, it begins with \"{begin}\"")))
            } else {
                Ok(None)
            };
        };
        // A whole picture ends in a marker: without a new one there is no point in walking through it again.
        let new = &self.buffer[self.searched.saturating_sub(1).max(start)..];
        self.searched = self.buffer.len();
        if !new.windows(2).any(|w| w == END_OF_IMAGE) && self.buffer.len() - start < MAX_PICTURE_BYTES {
            return Ok(None);
        }
        self.walked += self.buffer.len() - start;
        match jpeg::inspect(&self.buffer[start..]) {
            Ok(info) => {
                let _before = self.buffer.split_to(start);
                (self.searched, self.walked) = (0, 0);
                Ok(Some(Picture { bytes: self.buffer.split_to(info.length).freeze(), info }))
            }
            Err(e) if !e.truncated => Err(Fault::protocol(Phase::Media, format!("the picture is damaged: {e}"))),
            Err(_) if self.buffer.len() - start >= MAX_PICTURE_BYTES || self.walked > MAX_WALKED_BYTES => {
                let detail = format!("the picture is larger than {} MiB", MAX_PICTURE_BYTES / (1024 * 1024));
                Err(Fault::new(FaultKind::TooLarge, Phase::Media, detail))
            }
            Err(_) => Ok(None),
        }
    }
}

/// The marker at the end of every picture (ITU-T T.81 table B.1).
const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];

fn multipart_fault(error: &MultipartError) -> Fault {
    let kind = if matches!(error, MultipartError::TooLarge { .. }) { FaultKind::TooLarge } else { FaultKind::Protocol };
    Fault::new(kind, Phase::Media, format!("the multipart stream is broken: {error}"))
}

/// Reads pictures until the stream ends; answers with why it did.
async fn hold(pictures: &mut Pictures, live: &Live) -> Fault {
    loop {
        let picture = match pictures.next().await {
            Ok(Some(picture)) => picture,
            Ok(None) => return Fault::new(FaultKind::NoMedia, Phase::Media, "the stream of pictures ended"),
            Err(fault) => return fault,
        };
        let (bytes, at) = (picture.bytes.len(), live.now());
        live.batch(|batch| {
            let reading = batch.reading();
            reading.int(fact::FRAME_BYTES, i64::try_from(bytes).unwrap_or(i64::MAX));
            if let Some(track) = reading.tracks.first_mut() {
                (track.width, track.height) = (Some(picture.info.width), Some(picture.info.height));
            }
            batch.packet(Packet {
                track: 0,
                bytes,
                at,
                timed: true,
                media_time: None,
                frame: true,
                key: false,
                lost: None,
            });
        });
    }
}

impl Probe for Mjpeg {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }

    fn hold<'a>(&'a self, at: &'a mut Attempt<'_>, live: &'a Live) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.hold(at, live))
    }
}
