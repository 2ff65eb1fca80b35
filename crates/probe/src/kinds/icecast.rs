//! Kind `icecast`: internet radio over HTTP, from Icecast, Shoutcast and whatever speaks like them, listened to until frames
//! of sound follow each other. Owns the order of a look; asking is in `icecast/ask.rs`, the status page in `icecast/status.rs`.
//!
//! Sound is MPEG audio and AAC by three frames in a row, and Opus, Vorbis, FLAC or Speex in Ogg by their first packet and two
//! pages of sound. Quirks met: status lines that say ICY, titles in the middle of the sound, a bit rate that names one number
//! per relay, "401 Service Unavailable" of a Shoutcast without a source.

mod ask;
mod status;

use std::time::Duration;

use bytes::BytesMut;
use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Media, Reading, Track, fact};
use model::target::Target;
use net::attempt::Attempt;
use net::trust::{TLS_FIELDS, TlsOptions};
use wire::icy::{Dechunker, Head, MAX_SEARCH_BYTES, Scanner, Titles};

use self::ask::{Listener, listen};
use crate::kind::{AUTH_FIELDS, BoxFuture, HOLD_FIELDS, Kind, Probe, address_of, join_fields, options_node, within};
use crate::live::{Live, Packet};

/// Most bytes of a body that are listened to: with sound among them a fraction is enough.
const MAX_BYTES: u64 = 2 * 1024 * 1024;
/// How much longer a look may take for the title: servers send what they have in a burst, or a title every second.
const TITLE_WAIT: Duration = Duration::from_secs(1);
/// Most time for the status page.
const STATUS_WAIT: Duration = Duration::from_secs(2);

const OWN_FIELDS: [Field; 1] = [Field::new(
    "status",
    Type::Bool,
    "Whether to ask an Icecast server's public status page for the number of listeners. With watch: continuous it is not \
     asked.",
)
.default("false")];
static FIELDS: [Field; 9] = join_fields(&[&OWN_FIELDS, &HOLD_FIELDS, &AUTH_FIELDS, &TLS_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "icecast",
    schemes: &["http", "https"],
    summary: "Internet radio (Icecast, Shoutcast): frames of sound follow each other",
    example: "\
name: Tone FM
url: http://radio.example.com:8000/tone.mp3
kind: icecast
status: true
",
    media: true,
    holds: true,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Icecast::new(target)?)),
    guess,
};

/// Ends of paths that are sound.
const SOUND_ENDS: [&str; 7] = [".mp3", ".aac", ".aacp", ".ogg", ".oga", ".opus", "/;"];
/// Last parts of paths that are sound on the port of radio servers.
const RADIO_NAMES: [&str; 5] = ["stream", "live", "radio", "listen", "autodj"];
/// Port on which radio servers listen unless told otherwise.
const RADIO_PORT: u16 = 8000;

fn guess(address: &Address) -> u8 {
    if !matches!(address.scheme(), "http" | "https") {
        return 0;
    }
    let path = address.expose_url().path().to_ascii_lowercase();
    let last = path.rsplit('/').next().unwrap_or_default();
    let is_sound = SOUND_ENDS.iter().any(|end| path.ends_with(end)) || path.contains("/;stream");
    let is_radio = address.port() == Some(RADIO_PORT) && RADIO_NAMES.contains(&last);
    if is_sound || is_radio { 8 } else { 0 }
}

/// A target of this kind, ready to be looked at.
struct Icecast {
    address: Address,
    tls: TlsOptions,
    depth: Depth,
    status: bool,
}

impl Icecast {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let probe = Self {
            address: address_of(target, &options),
            tls: TlsOptions::read(&options, &mut problems),
            depth: target.depth,
            status: options.bool("status").unwrap_or(false),
        };
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let (mut listener, address) = listen(at, &self.address, &self.tls, reading).await?;
        reading.proven = Some(Depth::Reach);
        if self.depth == Depth::Reach {
            return Ok(());
        }
        let declared = announce(&listener.head, reading)?;
        reading.proven = Some(Depth::Describe);
        if self.depth == Depth::Media {
            let mut ears = Ears::new(&listener.head);
            prove(at, &mut listener, &mut ears, declared, reading).await?;
            wait_for_title(at, &mut listener, &mut ears, declared, reading).await;
        }
        drop(listener);
        if self.status {
            self.count_listeners(at, &address, reading).await;
        }
        Ok(())
    }

    /// Holds a session: see [`Probe::hold`].
    async fn hold(&self, at: &mut Attempt<'_>, live: &Live) -> Result<(), Fault> {
        let mut reading = Reading::default();
        let opened = async {
            let (mut listener, _) = listen(at, &self.address, &self.tls, &mut reading).await?;
            reading.proven = Some(Depth::Reach);
            let declared = announce(&listener.head, &mut reading)?;
            reading.proven = Some(Depth::Describe);
            let mut ears = Ears::new(&listener.head);
            prove(at, &mut listener, &mut ears, declared, &mut reading).await?;
            Ok((listener, ears, declared))
        }
        .await;
        live.reading(|known| *known = reading);
        let (mut listener, mut ears, declared) = opened?;
        live.opened(at);
        Err(ears.hold(&mut listener, declared, live).await)
    }

    /// Notes the number of listeners, or why it is not known: that is never a fault of the stream.
    async fn count_listeners(&self, at: &mut Attempt<'_>, address: &Address, reading: &mut Reading) {
        let asked = status::listeners(at, address, &self.tls);
        let why = match tokio::time::timeout(STATUS_WAIT, asked).await {
            Ok(Ok(listeners)) => {
                reading.int(fact::LISTENERS, listeners);
                return;
            }
            Ok(Err(fault)) => fault.detail,
            Err(_late) => "it did not answer in time".to_owned(),
        };
        reading.text(fact::HINT, format!("the number of listeners is unknown; the status page: {why}"));
    }
}

impl Probe for Icecast {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }

    fn hold<'a>(&'a self, at: &'a mut Attempt<'_>, live: &'a Live) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.hold(at, live))
    }
}

/// Listens until sound is proven.
async fn prove(
    at: &mut Attempt<'_>,
    listener: &mut Listener,
    ears: &mut Ears,
    declared: Option<u64>,
    reading: &mut Reading,
) -> Result<(), Fault> {
    let ended = at.run(Phase::Media, ears.until(listener, Ears::is_content)).await;
    ears.note(declared, reading);
    match ended {
        Ok(true) => reading.proven = Some(Depth::Media),
        Ok(false) => return Err(ears.fault("before the server ended the stream")),
        Err(fault) if fault.kind == FaultKind::TimedOut => return Err(ears.fault(&within(at.limit()))),
        Err(fault) => return Err(fault),
    }
    Ok(())
}

/// Listens a little longer where a title is announced and has not come.
async fn wait_for_title(
    at: &mut Attempt<'_>,
    listener: &mut Listener,
    ears: &mut Ears,
    declared: Option<u64>,
    reading: &mut Reading,
) {
    if ears.titles.awaits() {
        let title = tokio::time::timeout(TITLE_WAIT, ears.until(listener, |ears| !ears.titles.awaits()));
        // Sound is proven: a title that does not come is no fault.
        let _ = at.run(Phase::Check, async { Ok(title.await) }).await;
        ears.note(declared, reading);
    }
}

/// Notes what the head says of the stream; answers the declared bit rate. A fault when it says that there is no sound.
fn announce(head: &Head, reading: &mut Reading) -> Result<Option<u64>, Fault> {
    for (name, key) in [("icy-name", fact::STREAM_NAME), ("icy-genre", fact::STREAM_GENRE)] {
        if let Some(text) = head.text(name) {
            reading.text(key, text);
        }
    }
    let declared = head.bitrate_bps();
    let kind = head.text("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let codec = match kind.as_str() {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/aac" | "audio/aacp" | "audio/x-aac" => "aac",
        "application/vnd.apple.mpegurl" | "application/x-mpegurl" => {
            return Err(no_sound(&kind, "an HLS playlist: the kind hls looks at those"));
        }
        "audio/x-mpegurl" | "audio/mpegurl" | "audio/x-scpls" | "application/pls+xml" => {
            return Err(no_sound(&kind, "a playlist: watch the address that it names"));
        }
        kind if kind.starts_with("text/") || matches!(kind, "application/json" | "application/xhtml+xml") => {
            return Err(no_sound(kind, "a page"));
        }
        kind if kind.starts_with("image/") || kind.starts_with("video/x-") => return Err(no_sound(kind, "no sound")),
        _ => "",
    };
    if !codec.is_empty() {
        let mut track = Track::new(Media::Audio, codec);
        track.bitrate_bps = declared;
        reading.tracks = vec![track];
    }
    Ok(declared)
}

fn no_sound(kind: &str, what: &str) -> Fault {
    Fault::protocol(Phase::FirstByte, format!("the reply is {kind}, {what}"))
}

/// The body of a reply on its way from bytes to sound.
struct Ears {
    chunks: Option<Dechunker>,
    titles: Titles,
    scanner: Scanner,
    /// Content without chunks, with titles.
    content: BytesMut,
    received: u64,
    /// Bytes of it that are sound or stand between sound, titles not counted.
    heard: usize,
}

impl Ears {
    fn new(head: &Head) -> Self {
        Self {
            chunks: head.is_chunked().then(Dechunker::new),
            titles: Titles::new(head.title_distance()),
            scanner: Scanner::new(),
            content: BytesMut::new(),
            received: 0,
            heard: 0,
        }
    }

    fn is_content(&self) -> bool {
        self.scanner.is_proven()
    }

    /// Listens until `enough`; false when the stream ends before.
    async fn until(&mut self, listener: &mut Listener, enough: impl Fn(&Self) -> bool) -> Result<bool, Fault> {
        loop {
            self.take(&mut listener.inbox)?;
            if enough(self) {
                return Ok(true);
            }
            if self.scanner.is_lost() {
                return Err(no_media(format!(
                    "no frames of MP3, AAC or Ogg in the first {} KiB",
                    MAX_SEARCH_BYTES / 1024
                )));
            }
            if self.received > MAX_BYTES {
                let detail = format!("{} MiB came without frames that follow each other", MAX_BYTES / (1024 * 1024));
                return Err(Fault::new(FaultKind::TooLarge, Phase::Media, detail));
            }
            if !listener.more(Phase::Media).await? {
                return Ok(false);
            }
        }
    }

    fn take(&mut self, inbox: &mut BytesMut) -> Result<(), Fault> {
        self.received += inbox.len() as u64;
        match &mut self.chunks {
            None => self.content.extend_from_slice(&inbox.split()),
            Some(chunks) => {
                let broken = || Fault::protocol(Phase::Media, "the chunks of the reply are broken");
                chunks.push(inbox, &mut self.content).ok_or_else(broken)?;
                // What stands behind the last chunk is nobody's.
                inbox.clear();
            }
        }
        let mut sound = BytesMut::new();
        self.titles.push(&mut self.content, &mut sound);
        self.heard = self.heard.wrapping_add(sound.len());
        self.scanner.push(&sound);
        Ok(())
    }

    /// Listens until the stream ends; answers with why it did. What is no sound is no packet.
    async fn hold(&mut self, listener: &mut Listener, declared: Option<u64>, live: &Live) -> Fault {
        let (mut frames, mut heard) = (0, self.heard);
        let mut known = (self.titles.title().map(str::to_owned), self.scanner.sound().map(|sound| sound.params));
        loop {
            if let Err(fault) = self.take(&mut listener.inbox) {
                return fault;
            }
            if self.scanner.is_lost() {
                let kib = MAX_SEARCH_BYTES / 1024;
                return no_media(format!("the sound turned into something else: no frames of it in {kib} KiB"));
            }
            let sound = self.scanner.sound();
            if (self.titles.title(), sound.map(|sound| sound.params)) != (known.0.as_deref(), known.1) {
                known = (self.titles.title().map(str::to_owned), sound.map(|sound| sound.params));
                live.reading(|reading| self.note(declared, reading));
            }
            let now_frames = sound.map_or(0, |sound| sound.frames);
            if std::mem::replace(&mut frames, now_frames) != now_frames {
                let bytes = self.heard.wrapping_sub(std::mem::replace(&mut heard, self.heard));
                let at = live.now();
                live.packet(Packet {
                    track: 0,
                    bytes,
                    at,
                    timed: true,
                    media_time: None,
                    frame: true,
                    key: false,
                    lost: None,
                });
            }
            match listener.more(Phase::Media).await {
                Ok(true) => {}
                Ok(false) => return no_media("the server ended the stream".to_owned()),
                Err(fault) => return fault,
            }
        }
    }

    fn note(&self, declared: Option<u64>, reading: &mut Reading) {
        if let Some(title) = self.titles.title() {
            reading.text(fact::STREAM_TITLE, title);
        }
        let Some(sound) = self.scanner.sound() else { return };
        let mut track = Track::new(Media::Audio, sound.params.codec);
        track.profile = sound.params.profile.map(str::to_owned);
        track.sample_rate_hz = Some(sound.params.sample_rate_hz).filter(|rate| *rate > 0);
        track.channels = Some(u32::from(sound.params.channels)).filter(|channels| *channels > 0);
        track.bitrate_bps = declared;
        track.proven = self.scanner.is_proven();
        reading.tracks = vec![track];
        if let Some(bps) = sound.bitrate_bps.filter(|_| self.scanner.is_proven()) {
            reading.int(fact::SOUND_BITRATE_BPS, i64::try_from(bps).unwrap_or(i64::MAX));
        }
    }

    fn fault(&self, why: &str) -> Fault {
        match (self.received, self.scanner.sound()) {
            (0, _) => no_media(format!("not one byte of sound came {why}")),
            (bytes, None) => {
                no_media(format!("no frames of MP3, AAC or Ogg came {why}, but {bytes} bytes of something"))
            }
            (_, Some(sound)) => {
                let codec = sound.params.codec;
                no_media(format!("too few frames of {codec} in a row came {why}: {}", sound.frames))
            }
        }
    }
}

fn no_media(detail: String) -> Fault {
    Fault::new(FaultKind::NoMedia, Phase::Media, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_radio() {
        for (url, expected) in [
            ("http://h/tone.mp3", 8),
            ("https://h/a/tone.OPUS?x=1", 8),
            ("http://h:8000/;", 8),
            ("http://h:8000/;stream.nsv", 8),
            ("http://h:8000/stream", 8),
            ("http://h:8000/health", 0),
            ("http://h/stream", 0),
            ("http://h:8000/", 0),
            ("rtsp://h/tone.mp3", 0),
        ] {
            assert_eq!(guess(&Address::parse(url).expect(url)), expected, "{url}");
        }
    }
}
