//! Lines of a description to values.
//!
//! Owns the limits of a description.

use super::{Direction, Format, Media, MediaKind, Session};
use crate::text::{lossless, split_trim};

/// Longest description read; the limit of an RTSP body is the same.
pub const MAX_SDP_BYTES: usize = 256 * 1024;
/// Most lines read.
const MAX_LINES: u32 = 4_096;
/// Most media sections; a camera has up to four, a mosaic recorder up to sixty-four.
const MAX_MEDIAS: usize = 128;
/// Most formats of one media section; payload types have seven bits.
const MAX_FORMATS: usize = 128;
/// Highest plausible rate, a hundred gigabits per second; more would overflow what stores it.
const MAX_BITS_PER_SECOND: u64 = 100_000_000_000;
/// Highest plausible frame rate.
const MAX_FPS: f64 = 1_000.0;
/// Largest plausible picture side in pixels.
const MAX_SIDE: u32 = 65_535;
/// Longest session name kept, in characters.
const MAX_NAME_CHARS: usize = 256;

/// Why a description cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} in line {line} of the session description")]
pub struct SdpError {
    /// Line from 1.
    pub line: u32,
    /// What is wrong.
    pub what: &'static str,
}

/// Reads a description.
///
/// # Errors
/// When the first line is not `v=`, a line has no `x=` form, an `m=` line lacks its parts, or a limit is exceeded.
pub fn parse(description: &[u8]) -> Result<Session, SdpError> {
    if description.len() > MAX_SDP_BYTES {
        return Err(SdpError { line: 1, what: "more bytes than the limit" });
    }
    let text = lossless(description);
    let mut builder = Builder::default();
    let mut begun = false;
    let mut number = 0;
    // Some very old servers end lines with a carriage return alone.
    let line_end = if text.contains('\n') { '\n' } else { '\r' };
    for line in text.split(line_end) {
        number += 1;
        let line = line.trim_matches(|c: char| c == '\0' || c == '\u{feff}' || c.is_ascii_whitespace());
        if line.is_empty() {
            continue;
        }
        let error = |what| SdpError { line: number, what };
        if number > MAX_LINES {
            return Err(error("more lines than the limit"));
        }
        let Some((kind, value)) = line.split_once('=').filter(|(kind, _)| kind.len() == 1) else {
            if begun {
                // Text that a camera let slip in: other clients skip it.
                continue;
            }
            return Err(error("no session description begins"));
        };
        if !begun && kind != "v" {
            return Err(error("something else than the version"));
        }
        begun = true;
        builder.line(kind, value.trim(), number).map_err(error)?;
    }
    if !begun {
        return Err(SdpError { line: 1, what: "nothing" });
    }
    Ok(builder.session)
}

#[derive(Default)]
struct Builder {
    session: Session,
    /// Whether the current media's bandwidth came from TIAS, which is exact.
    exact_bandwidth: bool,
}

impl Builder {
    fn line(&mut self, kind: &str, value: &str, number: u32) -> Result<(), &'static str> {
        match kind {
            "s" if self.session.medias.is_empty() => {
                let name: String = value.chars().take(MAX_NAME_CHARS).collect();
                self.session.name = Some(name).filter(|name| !name.is_empty() && name != "-");
            }
            "m" => self.media(value, number)?,
            "b" => self.bandwidth(value),
            "a" => {
                let (name, value) = split_trim(value, ':');
                self.attribute(&name.to_ascii_lowercase(), value.unwrap_or_default());
            }
            _ => {}
        }
        Ok(())
    }

    fn media(&mut self, value: &str, line: u32) -> Result<(), &'static str> {
        if self.session.medias.len() == MAX_MEDIAS {
            return Err("more media than the limit");
        }
        let mut words = value.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
            return Err("a media line without kind, port and protocol");
        };
        let port = port.split('/').next().unwrap_or_default().parse().map_err(|_| "a media line without a port")?;
        let is_rtp = protocol.to_ascii_uppercase().contains("RTP/");
        let mut formats: Vec<Format> = Vec::new();
        for payload_type in words.filter_map(|word| word.parse::<u8>().ok()).filter(|&number| is_rtp && number < 128) {
            if formats.len() < MAX_FORMATS && formats.iter().all(|format| format.payload_type != payload_type) {
                formats.push(Format::from_payload_type(payload_type));
            }
        }
        self.exact_bandwidth = false;
        self.session.medias.push(Media {
            kind: MediaKind::from_word(kind),
            port,
            protocol: protocol.to_owned(),
            formats,
            control: None,
            bandwidth_bps: None,
            direction: self.session.direction,
            framerate: None,
            dimensions: None,
            line,
        });
        Ok(())
    }

    fn bandwidth(&mut self, value: &str) {
        let (name, number) = split_trim(value, ':');
        let Some(number) = number.and_then(|number| number.parse::<u64>().ok()).filter(|&number| number > 0) else {
            return;
        };
        let (bps, exact) = if name.eq_ignore_ascii_case("TIAS") {
            (number, true)
        } else if name.eq_ignore_ascii_case("AS") {
            (number.saturating_mul(1_000), false)
        } else {
            return;
        };
        if bps > MAX_BITS_PER_SECOND {
            return;
        }
        match self.session.medias.last_mut() {
            Some(media) if exact || !self.exact_bandwidth => {
                media.bandwidth_bps = Some(bps);
                self.exact_bandwidth = exact;
            }
            Some(_) => {}
            None => self.session.bandwidth_bps = Some(bps),
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        let direction = match name {
            "sendrecv" => Some(Direction::SendReceive),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::ReceiveOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        };
        let Some(media) = self.session.medias.last_mut() else {
            match (name, direction) {
                ("control", _) => self.session.control = Some(value.to_owned()),
                ("range", _) => self.session.range = Some(value.to_owned()),
                (_, Some(direction)) => self.session.direction = direction,
                _ => {}
            }
            return;
        };
        match name {
            "control" => media.control = Some(value.to_owned()).filter(|control| !control.is_empty()),
            "rtpmap" => with_format(media, value, Format::apply_rtpmap),
            "fmtp" => with_format(media, value, Format::apply_fmtp),
            "framerate" | "x-framerate" => media.framerate = frame_rate(value).or(media.framerate),
            "x-dimensions" => media.dimensions = pair(value, ',').or(media.dimensions),
            // top, left, bottom, right: ONVIF-era cameras declare their picture this way.
            "cliprect" => {
                let mut sides = value.split(',').map(|side| side.trim().parse::<u32>().ok());
                let (top, left, bottom, right) = (sides.next(), sides.next(), sides.next(), sides.next());
                if let (Some(Some(top)), Some(Some(left)), Some(Some(bottom)), Some(Some(right))) =
                    (top, left, bottom, right)
                {
                    let size = plausible(right.saturating_sub(left), bottom.saturating_sub(top));
                    media.dimensions = media.dimensions.or(size);
                }
            }
            // `96 1280-720` (3GPP, GStreamer).
            "framesize" => {
                let size = value.split_once(' ').and_then(|(_, size)| pair(size, '-'));
                media.dimensions = size.or(media.dimensions);
            }
            _ => media.direction = direction.unwrap_or(media.direction),
        }
    }
}

fn with_format(media: &mut Media, value: &str, apply: impl Fn(&mut Format, &str)) {
    let (payload_type, rest) = value.split_once([' ', '\t']).unwrap_or((value, ""));
    let Ok(payload_type) = payload_type.parse::<u8>() else {
        return;
    };
    if let Some(format) = media.formats.iter_mut().find(|format| format.payload_type == payload_type) {
        apply(format, rest.trim());
    }
}

fn frame_rate(value: &str) -> Option<f64> {
    let fps = match value.split_once('/') {
        Some((count, per)) => count.trim().parse::<f64>().ok()? / per.trim().parse::<f64>().ok()?,
        // `a=framerate:*25` and a trailing unit have been seen.
        None => value.trim_start_matches('*').split_ascii_whitespace().next()?.parse().ok()?,
    };
    (fps.is_finite() && fps > 0.0 && fps <= MAX_FPS).then_some(fps)
}

fn pair(value: &str, separator: char) -> Option<(u32, u32)> {
    let (width, height) = value.split_once(separator)?;
    plausible(width.trim().parse().ok()?, height.trim().parse().ok()?)
}

fn plausible(width: u32, height: u32) -> Option<(u32, u32)> {
    ((1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height)).then_some((width, height))
}
