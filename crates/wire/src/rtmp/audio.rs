//! Sound in RTMP messages: the tag header (FLV 10.1, E.4.2; Enhanced RTMP) and the codec's own parameters.
//!
//! Decodes nothing. Of several tracks in one message the first is read.

use super::video::{first_track, skip_extensions};
use super::{Seen, TagError};
use crate::audio::AudioParams;
use crate::{aac, mpeg_audio, ogg};

/// Sampling frequencies of the header's two bits.
const RATES_HZ: [u32; 4] = [5_512, 11_025, 22_050, 44_100];

/// The sound of a stream.
#[derive(Debug, Default)]
pub struct AudioTrack {
    params: Option<AudioParams>,
    configured: bool,
    frames: u64,
    trouble: Option<TagError>,
}

/// What a message carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packet {
    Config,
    Frame,
    Nothing,
}

impl AudioTrack {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Parameters, once a message told them; rate and channels are 0 while unknown.
    #[must_use]
    pub fn params(&self) -> Option<&AudioParams> {
        self.params.as_ref()
    }

    /// Whether the stream's parameters are known: from a configuration, or because the codec has none.
    #[must_use]
    pub fn is_described(&self) -> bool {
        self.configured || self.frames > 0
    }

    /// Coded frames received.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Why the last message that was refused was refused.
    #[must_use]
    pub fn trouble(&self) -> Option<TagError> {
        self.trouble
    }

    /// Takes the body of an audio message.
    ///
    /// # Errors
    /// When it cannot be what its header says; later messages may still be used.
    pub fn push(&mut self, body: &[u8]) -> Result<Seen, TagError> {
        let seen = self.read(body).map_err(|what| TagError { what });
        if let Err(error) = seen {
            self.trouble = Some(error);
        }
        seen
    }

    fn read(&mut self, body: &[u8]) -> Result<Seen, &'static str> {
        const ENHANCED: u8 = 9;
        let Some((&first, rest)) = body.split_first() else { return Ok(Seen::Nothing) };
        let (params, packet, data) =
            if first >> 4 == ENHANCED { enhanced(first & 0xf, rest)? } else { plain(first, rest)? };
        let Some(params) = params.filter(|_| packet != Packet::Nothing && !data.is_empty()) else {
            return Ok(Seen::Nothing);
        };
        if self.params.is_none_or(|known| known.codec != params.codec) {
            *self = Self { params: Some(params), ..Self::default() };
        }
        if packet == Packet::Config {
            self.params = Some(configuration(params, data)?);
            self.configured = true;
            return Ok(Seen::Config);
        }
        match params.codec {
            "aac" if !self.configured => return Err("a frame before its configuration"),
            "mp3" => {
                let header = mpeg_audio::parse_header(data).map_err(|e| e.what)?;
                self.params = Some(header.params);
            }
            "ac3" | "eac3" if !data.starts_with(&[0x0b, 0x77]) => return Err("a frame without its sync word"),
            _ => {}
        }
        self.frames += 1;
        Ok(Seen::Frame { key: true })
    }
}

/// The parameters that a configuration gives.
fn configuration(params: AudioParams, record: &[u8]) -> Result<AudioParams, &'static str> {
    match params.codec {
        "aac" => aac::parse_config(record).map_err(|e| e.what),
        "opus" => ogg::opus_head(record).ok_or("not an Opus header"),
        "flac" => ogg::flac_info(record).ok_or("not a FLAC header"),
        _ => Ok(params),
    }
}

type Header<'a> = Result<(Option<AudioParams>, Packet, &'a [u8]), &'static str>;

fn known(codec: &'static str, sample_rate_hz: u32, channels: u16) -> Option<AudioParams> {
    Some(AudioParams { codec, profile: None, sample_rate_hz, channels })
}

fn packet(kind: u8) -> Packet {
    match kind {
        0 => Packet::Config,
        1 => Packet::Frame,
        _ => Packet::Nothing,
    }
}

/// The header of FLV 10.1; format 13 is Opus as some services write it.
fn plain(first: u8, rest: &[u8]) -> Header<'_> {
    let rate = RATES_HZ[usize::from(first >> 2 & 3)];
    let channels = u16::from(first & 1) + 1;
    let wide = first & 2 != 0;
    let params = match first >> 4 {
        0 | 3 => known(if wide { "pcm_s16le" } else { "pcm_u8" }, rate, channels),
        1 => known("adpcm_swf", rate, channels),
        2 => known("mp3", 0, 0),
        4 => known("nellymoser", 16_000, 1),
        5 => known("nellymoser", 8_000, 1),
        6 => known("nellymoser", rate, channels),
        7 => known("pcm_alaw", 8_000, channels),
        8 => known("pcm_mulaw", 8_000, channels),
        10 => known("aac", 0, 0),
        11 => known("speex", 16_000, 1),
        13 => known("opus", 48_000, channels),
        14 => known("mp3", 8_000, channels),
        _ => return Err("an unknown audio codec"),
    };
    if first >> 4 != 10 {
        return Ok((params, Packet::Frame, rest));
    }
    match rest.split_first() {
        Some((&kind, data)) => Ok((params, packet(kind), data)),
        None => Ok((None, Packet::Nothing, rest)),
    }
}

/// The header of Enhanced RTMP.
fn enhanced(kind: u8, rest: &[u8]) -> Header<'_> {
    const CHANNEL_MAP: u8 = 4;
    const MULTITRACK: u8 = 5;
    const EXTENSION: u8 = 7;
    let cut = "an audio header cut short";
    let (kind, rest) = skip_extensions(kind, rest, EXTENSION).ok_or(cut)?;
    let (kind, name, data) = if kind == MULTITRACK {
        first_track(rest).ok_or(cut)?
    } else {
        let (name, data) = rest.split_first_chunk::<4>().ok_or(cut)?;
        (kind, *name, data)
    };
    let params = match &name {
        b"mp4a" => known("aac", 0, 0),
        b"Opus" => known("opus", 48_000, 0),
        b"fLaC" => known("flac", 0, 0),
        b".mp3" => known("mp3", 0, 0),
        b"ac-3" => known("ac3", 0, 0),
        b"ec-3" => known("eac3", 0, 0),
        _ => return Err("an unknown audio codec"),
    };
    Ok((params, if kind == CHANNEL_MAP { Packet::Nothing } else { packet(kind) }, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::from_hex;

    fn check(messages: &[&str], expected: &str) {
        let mut track = AudioTrack::new();
        let mut seen: Vec<String> = Vec::new();
        for message in messages {
            let bytes = from_hex(message, 4096).expect("the case is hexadecimal");
            seen.push(match track.push(&bytes) {
                Ok(Seen::Config) => "config".to_owned(),
                Ok(Seen::Frame { .. }) => "frame".to_owned(),
                Ok(Seen::Nothing) => "-".to_owned(),
                Err(error) => error.what.to_owned(),
            });
        }
        let params = track.params().map_or("?".to_owned(), |p| {
            format!("{} {} {} {}", p.codec, p.profile.unwrap_or("-"), p.sample_rate_hz, p.channels)
        });
        assert_eq!(format!("{}: {params}", seen.join(", ")), expected, "{messages:?}");
    }

    #[test]
    fn plain_messages() {
        check(&["af001190", "af01210049", "af01"], "config, frame, -: aac LC 48000 2");
        check(&["af01210049"], "a frame before its configuration: aac - 0 0");
        check(&["2ffffb9064", "2f00"], "frame, cut short: mp3 - 44100 2");
        check(&["72d5"], "frame: pcm_alaw - 8000 1");
        check(&["3edede"], "frame: pcm_s16le - 44100 1");
        check(&["b2ff", "", "f0"], "frame, -, an unknown audio codec: speex - 16000 1");
    }

    #[test]
    fn enhanced_messages() {
        let opus = "4f707573486561640102380180bb0000000000";
        check(&[&format!("904f707573{opus}"), "914f707573fcff"], "config, frame: opus - 48000 2");
        check(
            &["90664c6143664c6143800000221000100000000000 0000 0bb802f0".replace(' ', "").as_str()],
            "config: flac - 48000 2",
        );
        check(&["91612d330b77", "9161632d330b77aa"], "an unknown audio codec, frame: ac3 - 0 0");
        check(&["916d7034"], "an audio header cut short: ?");
        check(&["9500 6d70346100 1190".replace(' ', "").as_str()], "config: aac LC 48000 2");
        check(&["946f707573"], "an unknown audio codec: ?");
    }

    #[test]
    fn another_codec_begins_anew() {
        check(&["af001190", "72d5"], "config, frame: pcm_alaw - 8000 1");
    }
}
