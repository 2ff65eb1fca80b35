//! HLS playlists (RFC 8216 and its second edition): text to values. Owns what the tags mean, the numbering of segments, and
//! the limits of a playlist.
//!
//! Never fetches, never resolves a URI. What is against the standard and can be read all the same is read, and noted as a
//! [`Slip`]. Tags that it does not know are skipped, as the standard wants; those of low latency are counted at most.

mod attributes;
mod date;
mod media;
mod multivariant;
mod variables;

pub use date::parse_date;
pub use media::{ByteRange, Key, Map, MediaPlaylist, Method, PlaylistType, Segment};
pub use multivariant::{Multivariant, Rendition, RenditionType, Variant};
pub use variables::{Context, Variables};

use crate::text::{excerpt, lossless};

/// Most segments of one playlist: a day of segments of two seconds, and some.
pub const MAX_SEGMENTS: usize = 50_000;
/// Most variants of one playlist; real ones have under 30.
pub const MAX_VARIANTS: usize = 256;
/// Most renditions of one playlist; real ones have under 200.
pub const MAX_RENDITIONS: usize = 1_024;
/// Most slips noted; the first ones tell the story.
const MAX_SLIPS: usize = 16;
/// Longest quotation of something that is no playlist, in characters.
const MAX_EXCERPT_CHARS: usize = 60;

/// A playlist of either sort.
#[derive(Debug, Clone, PartialEq)]
pub enum Playlist {
    /// Lists variants of one presentation.
    Multivariant(Multivariant),
    /// Lists segments.
    Media(MediaPlaylist),
}

/// Why something is no playlist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum M3u8Error {
    /// There is nothing, or blanks alone.
    #[error("the playlist is empty")]
    Empty,
    /// A page: a portal, a login, an error page with status 200.
    #[error("an HTML page instead of a playlist (begins {0:?})")]
    Html(String),
    /// The first line is another one than the standard demands.
    #[error("no #EXTM3U in the first line (begins {0:?})")]
    NoHeader(String),
    /// More than a limit allows.
    #[error("more than {limit} {what} in the playlist")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

/// Something against the standard that did not keep the playlist from being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slip {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong, as half a sentence.
    pub what: &'static str,
}

/// Collects slips up to their limit.
#[derive(Debug, Default)]
pub(crate) struct Slips(Vec<Slip>);

impl Slips {
    pub(crate) fn note(&mut self, line: usize, what: &'static str) {
        if self.0.len() < MAX_SLIPS {
            self.0.push(Slip { line, what });
        }
    }

    pub(crate) fn into_inner(self) -> Vec<Slip> {
        self.0
    }
}

/// Reads a playlist. Which sort it is, its tags say.
///
/// # Errors
/// When it is empty, no playlist at all, or larger than the limits.
pub fn parse(bytes: &[u8], context: &Context) -> Result<Playlist, M3u8Error> {
    let (bytes, has_mark) = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => (rest, true),
        _ => (bytes, false),
    };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(M3u8Error::Empty);
    }
    let text = lossless(bytes);
    let first = text.lines().next().unwrap_or_default().trim_end();
    if first != "#EXTM3U" && !first.starts_with("#EXTM3U ") && !first.starts_with("#EXTM3U\t") {
        let begins = excerpt(bytes.trim_ascii_start(), MAX_EXCERPT_CHARS);
        let page = text.trim_start().starts_with('<');
        return Err(if page { M3u8Error::Html(begins) } else { M3u8Error::NoHeader(begins) });
    }
    let mut slips = Slips::default();
    if has_mark {
        slips.note(1, "the playlist begins with a byte order mark");
    }
    let is_multivariant = text.lines().any(|line| {
        ["#EXT-X-STREAM-INF:", "#EXT-X-MEDIA:", "#EXT-X-I-FRAME-STREAM-INF:"].iter().any(|tag| line.starts_with(tag))
    });
    if is_multivariant {
        multivariant::parse(&text, context, slips).map(Playlist::Multivariant)
    } else {
        media::parse(&text, context, slips).map(Playlist::Media)
    }
}

/// Lines with their numbers from 1, without the first one, blank ones and comments.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .skip(1)
        .map(|(index, line)| (index + 1, line.trim()))
        .filter(|(_, line)| !line.is_empty() && (!line.starts_with('#') || line.starts_with("#EXT")))
}

/// A tag's name and value; `None` for a URI.
pub(crate) fn tag(line: &str) -> Option<(&str, &str)> {
    let tag = line.strip_prefix('#')?;
    Some(tag.split_once(':').map_or((tag, ""), |(name, value)| (name, value.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes(), &Context::default()).expect_err(text).to_string()
    }

    #[test]
    fn what_is_no_playlist_says_what_it_is() {
        assert_eq!(error(""), "the playlist is empty");
        assert_eq!(error(" \r\n\t"), "the playlist is empty");
        assert_eq!(
            error("\n <html>log in</html>"),
            "an HTML page instead of a playlist (begins \"<html>log in</html>\")"
        );
        assert_eq!(error("#EXTM3U8\na.ts"), "no #EXTM3U in the first line (begins \"#EXTM3U8.a.ts\")");
        assert_eq!(error("a.ts"), "no #EXTM3U in the first line (begins \"a.ts\")");
    }

    #[test]
    fn the_tags_say_which_sort_it_is() {
        let sort = |text: &str| match parse(text.as_bytes(), &Context::default()) {
            Ok(Playlist::Multivariant(_)) => "multivariant",
            Ok(Playlist::Media(_)) => "media",
            Err(_) => "neither",
        };
        assert_eq!(sort("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8"), "multivariant");
        assert_eq!(sort("#EXTM3U\r\n#EXTINF:1,\r\na.ts\r\n"), "media");
        assert_eq!(sort("\u{feff}#EXTM3U\n"), "media");
        assert_eq!(sort("#EXTM3U x-tvg-url=\"x\"\n"), "media");
    }

    #[test]
    fn limits_hold() {
        let many = |line: &str, count: usize| format!("#EXTM3U\n{}", format!("{line}\n").repeat(count));
        assert!(error(&many("#EXTINF:1,\na", MAX_SEGMENTS + 1)).contains("50000 segments"));
        assert!(error(&many("#EXT-X-STREAM-INF:BANDWIDTH=1\na", MAX_VARIANTS + 1)).contains("256 variants"));
        let rendition = "#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"n\"";
        assert!(error(&many(rendition, MAX_RENDITIONS + 1)).contains("1024 renditions"));
        let Ok(Playlist::Media(slips)) = parse(many("a.ts", 100).as_bytes(), &Context::default()) else {
            panic!("a media playlist")
        };
        assert_eq!(slips.slips.len(), MAX_SLIPS);
    }
}
