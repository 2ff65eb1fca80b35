//! Session descriptions (RFC 8866, and 4566) as RTSP servers send them, and where their control URLs point.
//!
//! Never refuses a description for a line it does not need: cameras leave out `t=`, send blank lines and end in zeros.

mod control;
mod formats;
mod parse;

pub use control::{base_url, resolve_control};
pub use formats::Format;
pub use parse::{MAX_SDP_BYTES, SdpError, parse};

/// Kind of a media section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Data, such as ONVIF events.
    Application,
    /// Text, such as subtitles.
    Text,
    /// Anything else.
    Other,
}

impl MediaKind {
    /// The word of the description; "other" for anything else.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            MediaKind::Video => "video",
            MediaKind::Audio => "audio",
            MediaKind::Application => "application",
            MediaKind::Text => "text",
            MediaKind::Other => "other",
        }
    }

    fn from_word(word: &str) -> Self {
        [Self::Video, Self::Audio, Self::Application, Self::Text]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
            .unwrap_or(Self::Other)
    }
}

/// Who sends, seen from the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Direction {
    /// Both; what holds when nothing is said.
    #[default]
    SendReceive,
    /// The server sends. Some cameras mean the opposite and say `recvonly` of what they send.
    SendOnly,
    /// The server receives: a back channel.
    ReceiveOnly,
    /// Nobody.
    Inactive,
}

/// A session description.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Session {
    /// `s=`, when it says something.
    pub name: Option<String>,
    /// Control URL of the whole session.
    pub control: Option<String>,
    /// Bit/s of the whole session.
    pub bandwidth_bps: Option<u64>,
    /// Direction of media that say nothing themselves.
    pub direction: Direction,
    /// `a=range:`, for example `npt=0-30.5` of a file or `npt=now-` of a live stream.
    pub range: Option<String>,
    /// Media sections in order.
    pub medias: Vec<Media>,
}

/// A media section.
#[derive(Debug, Clone, PartialEq)]
pub struct Media {
    /// Kind of media.
    pub kind: MediaKind,
    /// Port; 0 as a rule with RTSP.
    pub port: u16,
    /// Protocol, `RTP/AVP` as a rule.
    pub protocol: String,
    /// Formats in the server's order of preference; empty when the protocol is not RTP.
    pub formats: Vec<Format>,
    /// Control URL, perhaps relative.
    pub control: Option<String>,
    /// Bit/s; `b=TIAS` before `b=AS`.
    pub bandwidth_bps: Option<u64>,
    /// Direction.
    pub direction: Direction,
    /// Frames per second as declared.
    pub framerate: Option<f64>,
    /// Width and height as declared outside the codec's own parameters.
    pub dimensions: Option<(u32, u32)>,
    /// Line of the `m=`, from 1.
    pub line: u32,
}
