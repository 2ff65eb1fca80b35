//! From the first playlist to the media playlists that are looked at: variants by choice, and the sound that goes with them.
//! Owns the names by which findings and faults tell them apart. Looks at no segment.

use model::address::Address;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Media, Reading, Severity, Track, fact};
use net::attempt::Attempt;
use tokio::time::Instant;
use wire::m3u8::{Context, M3u8Error, MediaPlaylist, Multivariant, Playlist, RenditionType, Variant, parse};

use super::choose::{self, MAX_LOOKED_AT};
use super::get::{self, Got, name_of};
use super::lint::{self, Found};
use super::{Choice, Hls};

/// What a stream is to the presentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The one whose facts are told.
    Main,
    /// Another variant.
    Variant,
    /// Sound in a playlist of its own.
    Sound,
}

/// A media playlist that is looked at.
pub(super) struct Stream {
    pub(super) role: Role,
    /// What sentences call it; empty when there is only one.
    name: String,
    /// What the memory calls it.
    pub(super) key: String,
    pub(super) list: MediaPlaylist,
    /// Where it was asked for.
    asked: Address,
    /// What its references are relative to.
    pub(super) base: Address,
    pub(super) got_at: Instant,
    /// Age of the file by the server's clock.
    pub(super) age_ms: Option<i64>,
    pub(super) variant: Option<Variant>,
    context: Context,
    /// How it is known that it goes on; none while it is not.
    pub(super) advance: Option<&'static str>,
}

impl Stream {
    /// A sentence about it.
    pub(super) fn about(&self, words: &str) -> String {
        if self.name.is_empty() { words.to_owned() } else { format!("{}: {words}", self.name) }
    }

    pub(super) fn named(&self, found: Found) -> Found {
        Found { text: self.about(&found.text), ..found }
    }

    pub(super) fn blamed(&self, fault: Fault) -> Fault {
        Fault { detail: self.about(&fault.detail), ..fault }
    }

    /// Adds its tracks, pictures before sound within what belongs together.
    pub(super) fn add_to(&self, all: &mut Vec<(String, Track)>, own: &mut Vec<Track>) {
        own.sort_by_key(|track| track.media != Media::Video);
        all.extend(own.drain(..).map(|track| (self.key.clone(), track)));
    }

    /// The tracks of this stream and of the sound beside it.
    pub(super) fn with_sound(&self, all: &[(String, Track)], streams: &[Self]) -> Vec<Track> {
        let beside = |key: &str| streams.iter().any(|s| s.key == key && s.role == Role::Sound);
        all.iter().filter(|(key, _)| *key == self.key || beside(key)).map(|(_, track)| track.clone()).collect()
    }
}

/// What one look looks at; the first stream is the main one.
pub(super) struct Presentation {
    pub(super) streams: Vec<Stream>,
}

/// A media playlist to be asked for.
struct Wanted<'a> {
    role: Role,
    name: String,
    key: String,
    uri: &'a str,
    variant: Option<&'a Variant>,
}

impl Hls {
    /// The streams behind the first playlist; what is wrong with it is noted.
    pub(super) async fn streams(
        &self,
        at: &mut Attempt<'_>,
        asked: &Address,
        top: Got,
        reading: &mut Reading,
    ) -> Result<Presentation, Fault> {
        reading.findings.extend(lint::content_type(&top.content_type, &top.address));
        let context = context(&top.address, None);
        match read(&top, &context)? {
            Playlist::Media(list) => {
                let stream = Stream {
                    role: Role::Main,
                    name: String::new(),
                    key: String::new(),
                    list,
                    asked: asked.clone(),
                    base: top.address,
                    got_at: Instant::now(),
                    age_ms: top.age_ms,
                    variant: None,
                    context,
                    advance: None,
                };
                Ok(Presentation { streams: vec![stream] })
            }
            Playlist::Multivariant(list) => self.variants(at, &list, &top.address, reading).await,
        }
    }

    async fn variants(
        &self,
        at: &mut Attempt<'_>,
        list: &Multivariant,
        base: &Address,
        reading: &mut Reading,
    ) -> Result<Presentation, Fault> {
        reading.findings.extend(lint::multivariant(list));
        reading.int(fact::VARIANTS, i64::try_from(list.variants.len()).unwrap_or(i64::MAX));
        let picked = self.choice.pick(list);
        if picked.is_empty() {
            return Err(Fault::new(FaultKind::NoMedia, Phase::Check, "the multivariant playlist lists no variant"));
        }
        let wanted = wanted(list, &picked);
        let (mut streams, mut missing) = (Vec::new(), None);
        for want in &wanted {
            match self.stream(at, list, base, want).await {
                Ok(stream) => streams.push(stream),
                // One of several may be missing; the one that is to be watched may not.
                Err(fault) if self.choice == Choice::All && want.role != Role::Sound => {
                    reading.find("variant_missing", Severity::Warning, fault.detail.clone());
                    missing.get_or_insert(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        match streams.iter_mut().find(|stream| stream.role != Role::Sound) {
            Some(first) => first.role = Role::Main,
            None => return Err(missing.unwrap_or_else(|| Fault::protocol(Phase::Check, "no variant could be read"))),
        }
        reading.findings.extend(out_of_step(&streams));
        Ok(Presentation { streams })
    }

    async fn stream(
        &self,
        at: &mut Attempt<'_>,
        list: &Multivariant,
        base: &Address,
        want: &Wanted<'_>,
    ) -> Result<Stream, Fault> {
        let blame = |fault: Fault| Fault { detail: format!("{}: {}", want.name, fault.detail), ..fault };
        let asked = get::resolve(base, want.uri, &want.name)?;
        // Facts of the first answer stay.
        let got = get::playlist(at, &asked, &self.tls, &mut Reading::default()).await.map_err(blame)?;
        let context = context(&got.address, Some(list));
        let media = media_of(&got, &context).map_err(blame)?;
        Ok(Stream {
            role: want.role,
            name: want.name.clone(),
            key: want.key.clone(),
            list: media,
            asked,
            base: got.address,
            got_at: Instant::now(),
            age_ms: got.age_ms,
            variant: want.variant.cloned(),
            context,
            advance: None,
        })
    }

    /// Asks for a stream's playlist once more; the time of the first answer stays.
    pub(super) async fn again(&self, at: &mut Attempt<'_>, stream: &mut Stream) -> Result<(), Fault> {
        let got = get::playlist(at, &stream.asked, &self.tls, &mut Reading::default()).await?;
        stream.list = media_of(&got, &stream.context)?;
        stream.base = got.address;
        Ok(())
    }
}

/// Variants in the order of the choice, then the sound that they refer to, each once.
fn wanted<'a>(list: &'a Multivariant, picked: &[usize]) -> Vec<Wanted<'a>> {
    let variants = picked.iter().map(|&index| {
        let variant = &list.variants[index];
        Wanted {
            role: Role::Variant,
            name: format!("variant {}", choose::label(variant)),
            key: choose::key(list, index),
            uri: variant.uri.as_str(),
            variant: Some(variant),
        }
    });
    let mut all: Vec<Wanted<'a>> = variants.collect();
    for &index in picked {
        let Some(sound) = list.rendition(&list.variants[index], RenditionType::Audio) else { continue };
        let Some(uri) = sound.uri.as_deref() else { continue };
        let sounds = all.iter().filter(|known| known.role == Role::Sound).count();
        if sounds < MAX_LOOKED_AT && !all.iter().any(|known| known.uri == uri) {
            all.push(Wanted {
                role: Role::Sound,
                name: format!("audio rendition {:?} ({})", sound.name, name_of(uri)),
                key: format!("audio {:?} {:?}", sound.group, sound.name),
                uri,
                variant: None,
            });
        }
    }
    all
}

fn context(address: &Address, list: Option<&Multivariant>) -> Context {
    Context {
        imported: list.map(|list| list.variables.clone()).unwrap_or_default(),
        query: address.expose_url().query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect(),
    }
}

fn read(got: &Got, context: &Context) -> Result<Playlist, Fault> {
    parse(&got.bytes, context).map_err(|error| {
        let kind = match error {
            M3u8Error::TooMany { .. } => FaultKind::TooLarge,
            _ => FaultKind::Protocol,
        };
        Fault::new(kind, Phase::Check, error.to_string())
    })
}

fn media_of(got: &Got, context: &Context) -> Result<MediaPlaylist, Fault> {
    match read(got, context)? {
        Playlist::Media(list) => Ok(list),
        Playlist::Multivariant(_) => Err(Fault::protocol(Phase::Check, "a multivariant playlist inside another one")),
    }
}

/// Whether variants are at different places of the presentation: by their dates, or else by their numbers.
fn out_of_step(streams: &[Stream]) -> Option<Found> {
    /// Segments by which numbers may differ: playlists are asked for one after the other.
    const NUMBERS: u64 = 2;
    let live = || streams.iter().filter(|stream| stream.role != Role::Sound && !stream.list.ended);
    let target = live().filter_map(|s| s.list.target_duration_s).max().unwrap_or(1).max(1);
    let times: Vec<i64> = live().filter_map(|stream| lint::newest_ms(&stream.list)).collect();
    let numbers: Vec<u64> = live().filter_map(|stream| stream.list.last_number()).collect();
    let text = if times.len() == numbers.len() {
        let spread_ms = times.iter().max()?.abs_diff(*times.iter().min()?);
        (spread_ms > target.saturating_mul(1_500)).then(|| format!("{spread_ms} ms by their dates"))?
    } else {
        let spread = numbers.iter().max()? - numbers.iter().min()?;
        (spread > NUMBERS).then(|| format!("{spread} segments by their numbers"))?
    };
    let text = format!("the newest segments of the variants are {text} apart");
    Some(Found { name: "variants_out_of_step", severity: Severity::Warning, text })
}
