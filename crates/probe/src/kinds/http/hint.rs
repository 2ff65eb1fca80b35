//! What a reply is that this kind looks at too little of: streams and playlists. Owns the sentences; judges nothing.

use model::address::Address;

/// Content types of HLS playlists (RFC 8216 section 10, and the older words that servers still use).
const HLS: [&str; 5] = [
    "application/vnd.apple.mpegurl",
    "application/x-mpegurl",
    "application/mpegurl",
    "audio/mpegurl",
    "audio/x-mpegurl",
];
/// Content type of DASH manifests (ISO/IEC 23009-1 annex C).
const DASH: &str = "application/dash+xml";
/// Content types of servers that do not know what they send: the name of the file decides then.
const VAGUE: [&str; 4] = ["", "text/plain", "application/octet-stream", "binary/octet-stream"];

/// The content type of cameras and other senders of one part after the other.
const CAMERA: &str = "multipart/x-mixed-replace";

/// The bare content type, without its parameters, in lower case.
fn bare(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Whether a reply of this content type is the stream of a camera.
pub(super) fn is_camera(content_type: &str) -> bool {
    bare(content_type) == CAMERA
}

/// One sentence for people where a reply of this content type is media, or leads to some, which a look at status and body
/// does not prove; `None` for everything else.
pub(super) fn hint(content_type: &str, address: &Address) -> Option<String> {
    let kind = bare(content_type);
    let path = address.expose_url().path().to_ascii_lowercase();
    let named = |ending: &str| VAGUE.contains(&kind.as_str()) && path.ends_with(ending);
    let word = if kind.is_empty() { "no content type" } else { kind.as_str() };
    if kind == CAMERA || kind.contains("motion-jpeg") {
        Some(format!("the reply is a stream ({word}); kind mjpeg would prove that pictures come"))
    } else if HLS.contains(&kind.as_str()) || named(".m3u8") {
        Some(format!("the reply is an HLS playlist ({word}); kind hls would prove that its segments come"))
    } else if kind == DASH || named(".mpd") {
        Some(format!("the reply is a DASH manifest ({word}); kind dash would prove that its segments come"))
    } else if kind.starts_with("audio/") || kind.starts_with("video/") || kind == "application/ogg" {
        Some(format!("the reply is media ({word}); kind http does not prove that it keeps coming or can be played"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_and_playlists_are_told_from_pages() {
        const MJPEG: &str = "kind mjpeg would prove that pictures come";
        const HLS_SEGMENTS: &str = "kind hls would prove that its segments come";
        const SEGMENTS: &str = "kind dash would prove that its segments come";
        const PLAYED: &str = "kind http does not prove that it keeps coming or can be played";
        for (content_type, path, expected) in [
            ("Multipart/x-mixed-replace; boundary=b", "/", format!("a stream (multipart/x-mixed-replace); {MJPEG}")),
            ("video/x-motion-jpeg", "/", format!("a stream (video/x-motion-jpeg); {MJPEG}")),
            (
                "application/vnd.apple.mpegurl",
                "/",
                format!("an HLS playlist (application/vnd.apple.mpegurl); {HLS_SEGMENTS}"),
            ),
            ("audio/x-mpegURL", "/", format!("an HLS playlist (audio/x-mpegurl); {HLS_SEGMENTS}")),
            ("text/plain", "/live/Index.M3U8?x=1", format!("an HLS playlist (text/plain); {HLS_SEGMENTS}")),
            ("", "/a.mpd", format!("a DASH manifest (no content type); {SEGMENTS}")),
            ("application/dash+xml", "/", format!("a DASH manifest (application/dash+xml); {SEGMENTS}")),
            ("audio/mpeg", "/", format!("media (audio/mpeg); {PLAYED}")),
            ("application/ogg", "/", format!("media (application/ogg); {PLAYED}")),
        ] {
            let address = Address::parse(&format!("http://h{path}")).expect("a good URL");
            assert_eq!(hint(content_type, &address), Some(format!("the reply is {expected}")), "{content_type} {path}");
        }
        for (content_type, path) in [
            ("text/html", "/live.m3u8"),
            ("text/plain", "/"),
            ("", "/"),
            ("image/jpeg", "/x.jpg"),
            ("application/json", "/"),
        ] {
            let address = Address::parse(&format!("http://h{path}")).expect("a good URL");
            assert_eq!(hint(content_type, &address), None, "{content_type} {path}");
        }
    }
}
