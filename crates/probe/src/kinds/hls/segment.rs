//! One segment of a playlist: which one, its map and key, and its bytes until enough of them were parsed. Owns the measures
//! of the transfer; what the bytes are is told elsewhere.

use std::time::Duration;

use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::Severity;
use net::attempt::Attempt;
use net::trust::TlsOptions;
use tokio::time::Instant;
use wire::m3u8::{ByteRange, Key, MediaPlaylist, Method};

use super::crypt::{BLOCK_BYTES, Opener, vector_of};
use super::get::{about, name_of, open, resolve, whole};
use super::lint::{Found, seconds};
use super::media::{Seen, Segment};

/// Largest segment read: ten seconds at 25 Mbit/s.
pub(in crate::kinds) const MAX_SEGMENT_BYTES: u64 = 32 * 1024 * 1024;
/// Largest initialization segment.
pub(in crate::kinds) const MAX_MAP_BYTES: usize = 4 * 1024 * 1024;
/// Largest answer to the question for a key; a page would be larger.
const MAX_KEY_BYTES: usize = 4096;

/// Where the parts of a playlist are and how they are asked for.
pub(super) struct Place<'a> {
    pub(super) list: &'a MediaPlaylist,
    /// What references are relative to.
    pub(super) base: &'a Address,
    pub(super) tls: &'a TlsOptions,
    pub(super) live: bool,
    /// Whether segments are read to their end although enough is known.
    pub(super) whole: bool,
}

/// What came of a segment.
pub(super) struct Outcome {
    /// `None` when its encryption hides everything.
    pub(super) seen: Option<Seen>,
    /// Octets of it, when they are known.
    pub(super) bytes: Option<u64>,
    pub(super) duration_s: f64,
    /// How it is encrypted.
    pub(super) encryption: Option<String>,
    pub(super) found: Vec<Found>,
    /// Another segment that the playlist lists and the server does not give.
    pub(super) missing: Option<Fault>,
}

impl Place<'_> {
    /// Looks at the newest segment of a live playlist, or at the first of a finished one whose last must be there.
    pub(super) async fn look(&self, at: &mut Attempt<'_>) -> Result<Outcome, Fault> {
        let offered =
            || self.list.segments.iter().enumerate().filter(|(_, segment)| !segment.gap).map(|(index, _)| index);
        let (Some(first), Some(last)) = (offered().next(), offered().next_back()) else {
            let words = match self.list.segments.len() {
                0 => "the playlist lists no segment".to_owned(),
                count => format!("all {count} segments of the playlist are marked as gaps"),
            };
            return Err(Fault::new(FaultKind::NoMedia, Phase::Check, words));
        };
        if self.live {
            return self.segment(at, last).await;
        }
        let mut outcome = self.segment(at, first).await?;
        if last != first {
            outcome.missing = self.exists(at, last).await.err();
        }
        Ok(outcome)
    }

    fn what(&self, index: usize) -> String {
        let name = name_of(&self.list.segments[index].uri);
        format!("segment {name} (number {})", self.list.number(index))
    }

    /// Whether the server has a segment: its answer's head is enough.
    async fn exists(&self, at: &mut Attempt<'_>, index: usize) -> Result<(), Fault> {
        let (segment, what) = (&self.list.segments[index], self.what(index));
        let address = resolve(self.base, &segment.uri, &what)?;
        open(at, &address, self.tls, segment.range, &what).await.map(drop).map_err(|fault| self.missing(fault))
    }

    /// A live segment that the playlist lists and the server does not have may come a moment later: that is missing media, and
    /// worth another attempt. In a finished stream it will not come.
    fn missing(&self, fault: Fault) -> Fault {
        match fault.kind {
            FaultKind::NotFound if self.live => Fault { kind: FaultKind::NoMedia, ..fault },
            _ => fault,
        }
    }

    async fn segment(&self, at: &mut Attempt<'_>, index: usize) -> Result<Outcome, Fault> {
        let (segment, what) = (&self.list.segments[index], self.what(index));
        let number = self.list.number(index);
        let mut outcome = Outcome {
            seen: None,
            bytes: None,
            duration_s: segment.duration_s,
            encryption: segment.key.map(|key| encryption(&self.list.keys[key])),
            found: Vec::new(),
            missing: None,
        };
        let opener = match segment.key.map(|key| &self.list.keys[key]) {
            None => None,
            Some(key) if is_usable(key, self.base) => Some(self.opener(at, key, number).await?),
            Some(key) => {
                self.exists(at, index).await?;
                let text = format!("segments are encrypted by {}: their media cannot be proven", encryption(key));
                outcome.found.push(Found { name: "encryption_unproven", severity: Severity::Note, text });
                return Ok(outcome);
            }
        };
        let mut parser = Segment::new(name_of(&segment.uri));
        if let Some(map) = segment.map {
            let bytes = self.map(at, map, number).await?;
            parser.map(&bytes)?;
        }
        let began = Instant::now();
        let address = resolve(self.base, &segment.uri, &what)?;
        let mut part = open(at, &address, self.tls, segment.range, &what).await.map_err(|fault| self.missing(fault))?;
        let answered = Instant::now();
        let reading = self.read(&mut part, parser, opener);
        let read = at.run(Phase::Media, reading).await.map_err(|fault| about(at, &what, fault))?;
        let (waited, loaded) = (answered.duration_since(began), answered.elapsed());
        outcome.bytes = if read.whole { Some(read.bytes) } else { part.total };
        outcome.found.extend(slow(&what, segment.duration_s, waited, loaded, read.bytes, outcome.bytes));
        let seen = read.parser.finish(read.whole)?;
        outcome.found.extend(oddities(&what, &seen));
        if let Some(how) = &seen.opaque {
            let text = format!("{what} has {how}: its media cannot be proven");
            outcome.found.push(Found { name: "encryption_unproven", severity: Severity::Note, text });
            outcome.encryption.get_or_insert_with(|| how.clone());
        }
        outcome.seen = Some(seen);
        Ok(outcome)
    }

    async fn read(
        &self,
        part: &mut super::get::Opened,
        mut parser: Segment,
        mut opener: Option<Opener>,
    ) -> Result<Read, Fault> {
        let mut bytes = 0;
        while self.whole || !parser.is_enough() {
            let Some(chunk) = part.next().await? else {
                if let Some(rest) = opener.map(Opener::finish) {
                    let padding = "the padding of the encryption is wrong: another key, or cut short";
                    parser.push(&rest.ok_or_else(|| Fault::protocol(Phase::Media, padding))?);
                }
                return Ok(Read { parser, bytes, whole: true });
            };
            bytes += chunk.len() as u64;
            if bytes > MAX_SEGMENT_BYTES {
                let words = format!("larger than {} MiB", MAX_SEGMENT_BYTES >> 20);
                return Err(Fault::new(FaultKind::TooLarge, Phase::Media, words));
            }
            match &mut opener {
                Some(opener) => parser.push(&opener.update(&chunk)),
                None => parser.push(&chunk),
            }
        }
        Ok(Read { parser, bytes, whole: false })
    }

    async fn map(&self, at: &mut Attempt<'_>, index: usize, number: u64) -> Result<Vec<u8>, Fault> {
        let map = &self.list.maps[index];
        let what = format!("map {}", name_of(&map.uri));
        let bytes = self.small(at, &map.uri, map.range, (&what, MAX_MAP_BYTES)).await?;
        let Some(key) = map.key.map(|key| &self.list.keys[key]).filter(|key| is_usable(key, self.base)) else {
            return Ok(bytes);
        };
        let mut opener = self.opener(at, key, number).await?;
        let mut clear = opener.update(&bytes);
        let rest = opener
            .finish()
            .ok_or_else(|| Fault::protocol(Phase::Media, format!("{what}: its key does not open it")))?;
        clear.extend(rest);
        Ok(clear)
    }

    async fn opener(&self, at: &mut Attempt<'_>, key: &Key, number: u64) -> Result<Opener, Fault> {
        let what = format!("key {}", name_of(&key.uri));
        let bytes = self.small(at, &key.uri, None, (&what, MAX_KEY_BYTES)).await?;
        let vector = key.iv.unwrap_or_else(|| vector_of(number));
        Opener::new(&bytes, vector).ok_or_else(|| {
            Fault::protocol(Phase::Media, format!("{what}: {} bytes, expected {BLOCK_BYTES}", bytes.len()))
        })
    }

    async fn small(
        &self,
        at: &mut Attempt<'_>,
        uri: &str,
        range: Option<ByteRange>,
        limit: (&str, usize),
    ) -> Result<Vec<u8>, Fault> {
        let address = resolve(self.base, uri, limit.0)?;
        whole(at, &address, self.tls, range, limit).await
    }
}

/// What of a segment was read.
struct Read {
    parser: Segment,
    bytes: u64,
    /// To its end.
    whole: bool,
}

/// Whether a key can be fetched and used.
fn is_usable(key: &Key, base: &Address) -> bool {
    let fetched = base.join(&key.uri).is_ok_and(|address| matches!(address.scheme(), "http" | "https"));
    key.method == Method::Aes128 && key.format == "identity" && fetched
}

/// How segments with this key are encrypted, in words.
fn encryption(key: &Key) -> String {
    let method = match &key.method {
        Method::Aes128 => "AES-128",
        Method::Other(name) => name.as_str(),
    };
    if key.format == "identity" { method.to_owned() } else { format!("{method} ({})", key.format) }
}

/// A segment that takes longer than it lasts starves every player. What was not read is taken to come as quickly.
pub(in crate::kinds) fn slow(
    what: &str,
    duration_s: f64,
    waited: Duration,
    loaded: Duration,
    bytes: u64,
    total: Option<u64>,
) -> Option<Found> {
    let part = total.filter(|total| *total > bytes && bytes > 0).map_or(1.0, |total| total as f64 / bytes as f64);
    let takes = waited.as_secs_f64() + loaded.as_secs_f64() * part;
    (duration_s > 0.0 && takes > duration_s).then(|| Found {
        name: "segment_slow",
        severity: Severity::Warning,
        text: format!("{what} lasts {} and takes {} to load", seconds(duration_s), seconds(takes)),
    })
}

/// Findings in a segment that could be read.
pub(in crate::kinds) fn oddities(what: &str, seen: &Seen) -> Vec<Found> {
    let mut found = Vec::new();
    let mut warn = |name, text| found.push(Found { name, severity: Severity::Warning, text });
    if seen.lacks_key_frame {
        warn("no_key_frame", format!("{what} has no key frame to begin with"));
    }
    if seen.sync_losses > 0 {
        let text = format!("in {what} MPEG-TS packets do not follow one another at {} places", seen.sync_losses);
        warn("sync_loss", text);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_is_longer_than_it_lasts() {
        let ms = Duration::from_millis;
        let slow = |waited, loaded, bytes, total| slow("s", 2.0, ms(waited), ms(loaded), bytes, total).map(|f| f.text);
        assert_eq!(slow(100, 1_800, 50, Some(50)), None);
        assert_eq!(slow(100, 1_950, 50, None).as_deref(), Some("s lasts 2 s and takes 2.05 s to load"));
        assert_eq!(slow(100, 500, 50, Some(500)).as_deref(), Some("s lasts 2 s and takes 5.1 s to load"));
        assert_eq!(slow(100, 500, 0, Some(500)), None);
    }

    #[test]
    fn encryption_in_words_and_which_of_it_can_be_opened() {
        let key =
            |method: Method, format: &str, uri: &str| Key { method, uri: uri.into(), iv: None, format: format.into() };
        let base = Address::parse("http://h/x.m3u8").expect("a good URL");
        let usable = key(Method::Aes128, "identity", "k.bin");
        assert!(is_usable(&usable, &base) && encryption(&usable) == "AES-128");
        let drm = key(Method::Other("SAMPLE-AES".into()), "com.apple.streamingkeydelivery", "skd://k");
        assert!(!is_usable(&drm, &base));
        assert_eq!(encryption(&drm), "SAMPLE-AES (com.apple.streamingkeydelivery)");
        assert!(!is_usable(&key(Method::Aes128, "identity", "data:,x"), &base));
    }
}
