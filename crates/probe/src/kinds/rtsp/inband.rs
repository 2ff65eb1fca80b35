//! Picture size from the first packets, for servers whose description does not tell it. Reads access units, decodes
//! no picture.

use model::reading::Track;
use wire::rtp::Header;
use wire::{h264, h265, jpeg};

/// Reads one video track until its size is known.
pub(super) enum Sniffer {
    H264(h264::Depacketizer),
    H265(h265::Depacketizer),
    Jpeg(jpeg::Depacketizer),
}

impl Sniffer {
    /// For a track of this codec (ffprobe's name); `None` for codecs whose packets do not tell.
    pub(super) fn new(codec: &str) -> Option<Self> {
        Some(match codec {
            "h264" => Self::H264(h264::Depacketizer::new()),
            "hevc" => Self::H265(h265::Depacketizer::new()),
            "mjpeg" => Self::Jpeg(jpeg::Depacketizer::new()),
            _ => return None,
        })
    }

    /// Reads one packet; fills `track` in and answers true once the packets have told the size. Packets that cannot be
    /// read tell nothing.
    pub(super) fn push(&mut self, header: &Header, payload: &[u8], track: &mut Track) -> bool {
        let params = match self {
            Self::H264(packets) => {
                let _ = packets.push(header, payload);
                std::iter::from_fn(|| packets.pop()).find_map(|unit| h264::params_in(&unit.annex_b))
            }
            Self::H265(packets) => {
                let _ = packets.push(header, payload);
                std::iter::from_fn(|| packets.pop()).find_map(|unit| h265::params_in(&unit.annex_b))
            }
            Self::Jpeg(packets) => {
                let _ = packets.push(header, payload);
                let Some(frame) = packets.pop() else { return false };
                let Ok(info) = jpeg::inspect(&frame.data) else { return false };
                (track.width, track.height) = (Some(info.width), Some(info.height));
                // RFC 2435 carries nothing else.
                track.profile = (!info.progressive).then(|| "Baseline".to_owned());
                return true;
            }
        };
        let Some(params) = params else { return false };
        (track.width, track.height) = (Some(params.width), Some(params.height));
        track.profile = params.profile.or(track.profile.take());
        track.fps = track.fps.or(params.fps);
        true
    }
}
