//! What the encoding names of sound mean, in the words of ffprobe.
//!
//! Never looks at packets.

use crate::sdp::Format;

/// Parameters of a sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioParams {
    /// Codec as ffprobe names it.
    pub codec: &'static str,
    /// Profile as ffprobe names it; `None` when the codec has none or it is unknown.
    pub profile: Option<&'static str>,
    /// Samples per second; 0 when unknown.
    pub sample_rate_hz: u32,
    /// Channels; 0 when unknown.
    pub channels: u16,
}

/// Where the sampling frequency of an encoding is found.
#[derive(Clone, Copy)]
enum Rate {
    /// It is the RTP clock.
    Clock,
    /// It is fixed, whatever the clock says.
    Fixed(u32),
    /// The description does not say.
    Unknown,
}

/// Encoding name, codec, sampling frequency, channels when the description says nothing (0: unknown).
const ENCODINGS: [(&str, &str, Rate, u16); 34] = [
    ("PCMU", "pcm_mulaw", Rate::Clock, 1),
    ("PCMA", "pcm_alaw", Rate::Clock, 1),
    // Its clock is 8,000 by an old mistake (RFC 3551, 4.5.2).
    ("G722", "adpcm_g722", Rate::Fixed(16_000), 1),
    ("G726-16", "adpcm_g726le", Rate::Clock, 1),
    ("G726-24", "adpcm_g726le", Rate::Clock, 1),
    ("G726-32", "adpcm_g726le", Rate::Clock, 1),
    ("G726-40", "adpcm_g726le", Rate::Clock, 1),
    ("AAL2-G726-16", "adpcm_g726", Rate::Clock, 1),
    ("AAL2-G726-24", "adpcm_g726", Rate::Clock, 1),
    ("AAL2-G726-32", "adpcm_g726", Rate::Clock, 1),
    ("AAL2-G726-40", "adpcm_g726", Rate::Clock, 1),
    ("G723", "g723_1", Rate::Clock, 1),
    ("G728", "g728", Rate::Clock, 1),
    ("G729", "g729", Rate::Clock, 1),
    ("GSM", "gsm", Rate::Clock, 1),
    ("iLBC", "ilbc", Rate::Clock, 1),
    ("speex", "speex", Rate::Clock, 1),
    ("QCELP", "qcelp", Rate::Clock, 1),
    ("L8", "pcm_u8", Rate::Clock, 1),
    ("L16", "pcm_s16be", Rate::Clock, 1),
    ("L24", "pcm_s24be", Rate::Clock, 1),
    ("MPA", "mp3", Rate::Unknown, 0),
    ("mpa-robust", "mp3", Rate::Unknown, 0),
    ("X-MP3-draft-00", "mp3", Rate::Unknown, 0),
    // Always 48,000 and 2 in the description, whatever is inside (RFC 7587, 4.1).
    ("opus", "opus", Rate::Fixed(48_000), 2),
    ("vorbis", "vorbis", Rate::Clock, 1),
    ("AC3", "ac3", Rate::Clock, 0),
    ("EAC3", "eac3", Rate::Clock, 0),
    ("DTS", "dts", Rate::Clock, 0),
    ("AMR", "amr_nb", Rate::Fixed(8_000), 1),
    ("AMR-WB", "amr_wb", Rate::Fixed(16_000), 1),
    ("MPEG4-GENERIC", "aac", Rate::Clock, 1),
    ("MP4A-LATM", "aac", Rate::Clock, 1),
    ("FLAC", "flac", Rate::Clock, 1),
];

/// What the description says of a sound; `None` when the encoding is unknown.
#[must_use]
pub fn params(format: &Format) -> Option<AudioParams> {
    let &(_, codec, rate, channels) = ENCODINGS.iter().find(|row| format.is(row.0))?;
    let declared = AudioParams {
        codec,
        profile: None,
        sample_rate_hz: match rate {
            Rate::Clock => format.clock_rate,
            Rate::Fixed(rate) => rate,
            Rate::Unknown => 0,
        },
        channels: format.channels.unwrap_or(channels),
    };
    if codec != "aac" {
        return Some(declared);
    }
    let config = format.param("config").and_then(|hex| {
        let latm = format.is("MP4A-LATM");
        if latm { crate::aac::parse_latm_hex(hex).ok() } else { crate::aac::parse_config_hex(hex).ok() }
    });
    Some(config.map_or(declared, |config| AudioParams {
        sample_rate_hz: config.sample_rate_hz,
        channels: if config.channels == 0 { declared.channels } else { config.channels },
        ..config
    }))
}

#[cfg(test)]
mod tests {
    use crate::sdp;

    /// `codec profile rate channels` of an audio section with these lines.
    fn check(lines: &str, expected: &str) {
        let text = format!("v=0\nm=audio 0 RTP/AVP {lines}\n");
        let session = sdp::parse(text.as_bytes()).expect("the case is a session description");
        let got = match super::params(&session.medias[0].formats[0]) {
            None => "unknown".to_owned(),
            Some(p) => format!("{} {} {} {}", p.codec, p.profile.unwrap_or("-"), p.sample_rate_hz, p.channels),
        };
        assert_eq!(got, expected, "{lines}");
    }

    #[test]
    fn encodings() {
        check("0", "pcm_mulaw - 8000 1");
        check("8", "pcm_alaw - 8000 1");
        check("9", "adpcm_g722 - 16000 1");
        check("10", "pcm_s16be - 44100 2");
        check("14", "mp3 - 0 0");
        check("97\na=rtpmap:97 L16/16000", "pcm_s16be - 16000 1");
        check("97\na=rtpmap:97 L16/48000/6", "pcm_s16be - 48000 6");
        check("97\na=rtpmap:97 OPUS/48000/2", "opus - 48000 2");
        check("97\na=rtpmap:97 G726-32/8000", "adpcm_g726le - 8000 1");
        check("97\na=rtpmap:97 mpeg4-generic/16000/1\na=fmtp:97 mode=AAC-hbr; config=1408", "aac LC 16000 1");
        check("97\na=rtpmap:97 MPEG4-GENERIC/24000/2\na=fmtp:97 Config=eb098800", "aac HE-AACv2 48000 2");
        check("97\na=rtpmap:97 MPEG4-GENERIC/44100/2\na=fmtp:97 config=zz", "aac - 44100 2");
        check("97\na=rtpmap:97 MP4A-LATM/90000\na=fmtp:97 cpresent=0; config=400026203fc0", "aac LC 24000 2");
        check("97\na=rtpmap:97 X-VENDOR/8000", "unknown");
    }
}
