//! One segment of a representation: which one, what must come before it, and its bytes until enough of them were parsed. Owns
//! the measures of the transfer; what the bytes are is told by the parser that the hls kind uses, too.

use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Severity;
use net::attempt::Attempt;
use net::trust::TlsOptions;
use tokio::time::Instant;
use wire::m3u8::ByteRange;
use wire::mp4::parse_sidx;
use wire::mpd::{Part, Segment, Source};

use super::super::hls::get::{Opened, about, name_of, open, resolve, whole};
use super::super::hls::lint::{Found, warning};
use super::super::hls::media::{self, Seen};
use super::super::hls::segment::{MAX_MAP_BYTES, MAX_SEGMENT_BYTES, oddities, slow};
use super::declared;
use super::streams::Stream;

/// Largest index of a file: 65,535 parts of 12 octets, and their headers.
const MAX_INDEX_BYTES: usize = 1024 * 1024;

/// How WebM begins, and how its parts do (RFC 8794, RFC 9559).
const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
const CLUSTER: [u8; 4] = [0x1f, 0x43, 0xb6, 0x75];

/// Where the parts of a representation are and how they are asked for.
pub(super) struct Place<'a> {
    pub(super) stream: &'a Stream<'a>,
    /// What its references are relative to.
    base: Address,
    pub(super) tls: &'a TlsOptions,
    pub(super) live: bool,
    /// Whether segments are read to their end although enough is known.
    pub(super) whole: bool,
}

/// What came of a segment.
pub(super) struct Outcome {
    pub(super) seen: Seen,
    /// Octets of it, when they are known.
    pub(super) bytes: Option<u64>,
    pub(super) length_s: f64,
    /// Its number, where it is asked for by number.
    pub(super) number: Option<u64>,
    pub(super) found: Vec<Found>,
    /// Another segment that the manifest lists and the server does not give.
    pub(super) missing: Option<Fault>,
}

/// A part of the media with its address.
struct Located {
    what: String,
    address: Address,
    range: Option<ByteRange>,
}

impl<'a> Place<'a> {
    /// `manifest` is the address that answered.
    pub(super) fn new(
        stream: &'a Stream<'a>,
        manifest: &Address,
        tls: &'a TlsOptions,
        (live, whole): (bool, bool),
    ) -> Result<Self, Fault> {
        let mut base = manifest.clone();
        for reference in &stream.one.bases {
            base = resolve(&base, reference, "its BaseURL")?;
        }
        Ok(Self { stream, base, tls, live, whole })
    }

    /// Looks at the newest segment of a live stream, or at the first of a finished one whose last must be there.
    pub(super) async fn look(&self, at: &mut Attempt<'_>) -> Result<Outcome, Fault> {
        let (one, span) = (self.stream.one, &self.stream.span);
        let init = self.init(at).await?;
        if one.mime.as_deref().is_some_and(|mime| mime.to_ascii_lowercase().ends_with("/webm")) {
            return self.webm(at).await;
        }
        if let (Source::Single { index: Some(index) }, false) = (&one.segments.source, self.live) {
            return self.indexed(at, *index, init.as_deref()).await;
        }
        if !self.live {
            let first = one.segments.first(span).ok_or_else(|| self.nothing())?;
            let mut outcome = self.segment(at, &first, init.as_deref()).await?;
            if let Some(last) = one.segments.last(span).filter(|last| last.index != first.index) {
                outcome.missing = self.exists(at, &last).await.err();
            }
            return Ok(outcome);
        }
        let newest = self.stream.newest().ok_or_else(|| self.nothing())?;
        let missing = match self.segment(at, &newest, init.as_deref()).await {
            Err(fault) if fault.kind == FaultKind::NotFound => fault,
            other => return other,
        };
        // It may come a moment later. When the one before it is there, the stream is late; when not, it is not there.
        let before = newest.index.checked_sub(1).and_then(|index| one.segments.segment(index, span));
        let no_media = |words: &str| Fault {
            kind: FaultKind::NoMedia,
            detail: format!("{}{words}", missing.detail),
            ..missing.clone()
        };
        let Some(before) = before else { return Err(no_media("")) };
        match self.segment(at, &before, init.as_deref()).await {
            Ok(mut outcome) => {
                let late = self.late_words(&newest);
                outcome.found.push(warning("segment_missing", format!("{}{late}", missing.detail)));
                Ok(outcome)
            }
            Err(fault) if fault.kind == FaultKind::NotFound => Err(no_media("; so is the one before it")),
            Err(fault) => Err(fault),
        }
    }

    /// The number of a segment where segments are asked for by number; others only count.
    fn number(&self, segment: &Segment) -> Option<u64> {
        let by_number = match &self.stream.one.segments.source {
            Source::Template(template) => template.contains("$Number"),
            Source::List(_) => true,
            Source::Single { .. } => false,
        };
        by_number.then_some(segment.number)
    }

    fn late_words(&self, segment: &Segment) -> String {
        let due = self.stream.span.elapsed_s.map(|elapsed| elapsed - segment.end_s()).filter(|due| *due > 0.0);
        due.map_or(String::new(), |due| format!(", due for {due:.1} s"))
    }

    fn nothing(&self) -> Fault {
        Fault::new(FaultKind::NoMedia, Phase::Check, "the manifest lists no segment")
    }

    fn locate(&self, part: &Part, what: String) -> Result<Located, Fault> {
        let address = match &part.uri {
            Some(uri) => resolve(&self.base, uri, &what)?,
            None => self.base.clone(),
        };
        Ok(Located { what, address, range: part.range })
    }

    fn located(&self, segment: &Segment) -> Result<Located, Fault> {
        let one = self.stream.one;
        let wrong = |words: String| Fault::protocol(Phase::Check, format!("segment {}: {words}", segment.number));
        let part = one.segments.part(segment, &one.id, one.bandwidth_bps).map_err(wrong)?;
        let name = part.uri.as_deref().map_or_else(|| name_of(self.base.expose_url().path()), name_of);
        let number = self.number(segment).map_or(String::new(), |number| format!(" (number {number})"));
        self.locate(&part, format!("segment {name}{number}"))
    }

    /// What must come before the segments.
    async fn init(&self, at: &mut Attempt<'_>) -> Result<Option<Vec<u8>>, Fault> {
        let one = self.stream.one;
        let wrong = |words: String| Fault::protocol(Phase::Check, format!("the initialization segment: {words}"));
        let part = match (one.segments.init_part(&one.id, one.bandwidth_bps).map_err(wrong)?, &one.segments.source) {
            (Some(part), _) => part,
            // What stands before the index of a file.
            (None, Source::Single { index: Some(index) }) => {
                Part { uri: None, range: Some(ByteRange { offset: 0, length: index.offset }) }
            }
            (None, _) => return Ok(None),
        };
        let name = part.uri.as_deref().map_or_else(|| name_of(self.base.expose_url().path()), name_of);
        let located = self.locate(&part, format!("initialization segment {name}"))?;
        let limit = (located.what.as_str(), MAX_MAP_BYTES);
        whole(at, &located.address, self.tls, located.range, limit).await.map(Some)
    }

    /// Whether the server has a segment: its answer's head is enough.
    async fn exists(&self, at: &mut Attempt<'_>, segment: &Segment) -> Result<(), Fault> {
        let Located { what, address, range } = self.located(segment)?;
        open(at, &address, self.tls, range, &what).await.map(drop)
    }

    async fn segment(&self, at: &mut Attempt<'_>, segment: &Segment, init: Option<&[u8]>) -> Result<Outcome, Fault> {
        let located = self.located(segment)?;
        self.read(at, &located, (self.number(segment), segment.length_s), init).await
    }

    /// The first part of a file with an index; the last one must be there.
    async fn indexed(&self, at: &mut Attempt<'_>, index: ByteRange, init: Option<&[u8]>) -> Result<Outcome, Fault> {
        let name = name_of(self.base.expose_url().path());
        let what = format!("index of {name}");
        let bytes = whole(at, &self.base, self.tls, Some(index), (&what, MAX_INDEX_BYTES)).await?;
        let wrong = |words: &str| Fault::protocol(Phase::Media, format!("{what}: {words}"));
        let sidx = parse_sidx(&bytes).ok_or_else(|| wrong("no segment index (sidx) in it"))?;
        let behind = index.offset.saturating_add(index.length);
        let mut parts = sidx.references.iter().filter(|reference| !reference.is_index && reference.length > 0);
        let range = |offset: u64, length: u64| Some(ByteRange { offset: behind.saturating_add(offset), length });
        let first = parts.next().ok_or_else(|| wrong("it lists no media"))?;
        let located = Located {
            what: format!("the first part of {name}"),
            address: self.base.clone(),
            range: range(first.offset, first.length),
        };
        let length_s = first.duration as f64 / f64::from(sidx.timescale.max(1));
        let mut outcome = self.read(at, &located, (None, length_s), init).await?;
        if let Some(last) = parts.next_back() {
            let what = format!("the last part of {name}");
            let asked = open(at, &self.base, self.tls, range(last.offset, last.length), &what).await;
            outcome.missing = asked.err();
        }
        Ok(outcome)
    }

    /// A segment in a container that is not opened: that it comes and begins as it should is all that is told.
    async fn webm(&self, at: &mut Attempt<'_>) -> Result<Outcome, Fault> {
        let segments = &self.stream.one.segments;
        let segment = if self.live { self.stream.newest() } else { segments.first(&self.stream.span) };
        let segment = segment.ok_or_else(|| self.nothing())?;
        let Located { what, address, range } = self.located(&segment)?;
        let mut part = open(at, &address, self.tls, range, &what).await?;
        let reading = async {
            let mut bytes = Vec::new();
            while bytes.len() < EBML.len() {
                let Some(chunk) = part.next().await? else { break };
                bytes.extend_from_slice(&chunk);
            }
            Ok(bytes)
        };
        let bytes = at.run(Phase::Media, reading).await.map_err(|fault| about(at, &what, fault))?;
        if !bytes.starts_with(&EBML) && !bytes.starts_with(&CLUSTER) {
            return Err(Fault::protocol(Phase::Media, format!("{what}: no WebM at its beginning")));
        }
        let text = format!("{what} is WebM: its media cannot be proven");
        let seen = Seen {
            format: "webm",
            tracks: declared::tracks(self.stream.one),
            opaque: Some("WebM".to_owned()),
            lacks_key_frame: false,
            sync_losses: 0,
        };
        let found = vec![Found { name: "container_unproven", severity: Severity::Note, text }];
        let (bytes, length_s, number) = (part.total, segment.length_s, self.number(&segment));
        Ok(Outcome { seen, bytes, length_s, number, found, missing: None })
    }

    async fn read(
        &self,
        at: &mut Attempt<'_>,
        located: &Located,
        (number, length_s): (Option<u64>, f64),
        init: Option<&[u8]>,
    ) -> Result<Outcome, Fault> {
        let Located { what, address, range } = located;
        let mut parser = media::Segment::new(name_of(address.expose_url().path()));
        if let Some(init) = init {
            parser.map(init)?;
        }
        let began = Instant::now();
        let mut part = open(at, address, self.tls, *range, what).await?;
        let answered = Instant::now();
        let reading = bytes_of(&mut part, parser, self.whole);
        let (parser, bytes, ended) = at.run(Phase::Media, reading).await.map_err(|fault| about(at, what, fault))?;
        let (waited, loaded) = (answered.duration_since(began), answered.elapsed());
        let size = if ended { Some(bytes) } else { part.total };
        let mut found: Vec<Found> = slow(what, length_s, waited, loaded, bytes, size).into_iter().collect();
        let seen = parser.finish(ended)?;
        found.extend(oddities(what, &seen));
        if let Some(how) = &seen.opaque {
            let text = format!("{what} has {how}: its media cannot be proven");
            found.push(Found { name: "encryption_unproven", severity: Severity::Note, text });
        }
        Ok(Outcome { seen, bytes: size, length_s, number, found, missing: None })
    }
}

/// Reads until enough is known: the parser, the octets, and whether the end was reached.
async fn bytes_of(
    part: &mut Opened,
    mut parser: media::Segment,
    whole: bool,
) -> Result<(media::Segment, u64, bool), Fault> {
    let mut bytes = 0;
    while whole || !parser.is_enough() {
        let Some(chunk) = part.next().await? else { return Ok((parser, bytes, true)) };
        bytes += chunk.len() as u64;
        if bytes > MAX_SEGMENT_BYTES {
            let words = format!("larger than {} MiB", MAX_SEGMENT_BYTES >> 20);
            return Err(Fault::new(FaultKind::TooLarge, Phase::Media, words));
        }
        parser.push(&chunk);
    }
    Ok((parser, bytes, false))
}
