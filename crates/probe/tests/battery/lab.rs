//! What the battery must know of each kind: a good peer, how a reply begins, and what cannot be waited for. A new kind is one
//! arm in [`lab`]; without it the battery fails by name.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;

use model::conf::{Node, Value};
use model::fault::FaultKind;
use model::phase::Phase;
use testkit::bad;
use testkit::encoder::Encoder;
use testkit::http::{HttpPeer, Reply};
use testkit::mjpeg::{Camera, camera};
use testkit::rtmp::RtmpPeer;
use testkit::rtsp::RtspPeer;
use testkit::srt::SrtPeer;
use testkit::vimeo::{self, VimeoPeer};
use testkit::youtube::{self, YoutubePeer};

/// A peer that does everything right, and where it is.
pub(crate) struct Good {
    pub(crate) url: String,
    /// Ends the peer when dropped.
    pub(crate) _peer: Box<dyn Any>,
}

/// Something that never ends, and the faults that may end the look at it.
pub(crate) struct Endless {
    pub(crate) begin: &'static str,
    pub(crate) again: &'static [u8],
    pub(crate) faults: &'static [FaultKind],
}

/// A kind under test.
pub(crate) struct Lab {
    /// What follows the address in a URL.
    pub(crate) path: &'static str,
    /// Options with which every trouble matters.
    pub(crate) options: Vec<(&'static str, Value)>,
    /// Phase in which a peer that never answers is given up.
    pub(crate) silence: Phase,
    /// A valid beginning of a reply.
    pub(crate) begin: &'static str,
    pub(crate) endless: Vec<Endless>,
    /// A reply that wants a password and quotes one; `PLANTED` stands for it. Empty for kinds without passwords.
    pub(crate) challenge: &'static str,
    pub(crate) good: fn() -> Pin<Box<dyn Future<Output = Good>>>,
    /// Facts that the good peer must give.
    pub(crate) facts: &'static [&'static str],
    /// Tracks that the good peer must give, as [`crate::support::tracks`] writes them.
    pub(crate) tracks: &'static str,
}

const CAPPED: &[FaultKind] = &[FaultKind::TooLarge];
const ENDED: &[FaultKind] = &[FaultKind::TooLarge, FaultKind::Protocol];

fn text(value: &str) -> Value {
    Value::Str(value.to_owned())
}

fn good<F: Future<Output = Good> + 'static>(f: F) -> Pin<Box<dyn Future<Output = Good>>> {
    Box::pin(f)
}

/// Kinds that look at no peer at all; their good and bad looks stand in tests of their own.
pub(crate) const WITHOUT_PEER: &[&str] = &["exec", "push"];

/// Kinds that open no connection of TCP: what peers of TCP do to them cannot be asked. Their own tests stand beside each name.
pub(crate) const WITHOUT_TCP: &[&str] = &[
    "exec", // runs a program: tests/exec.rs
    "host", // reads files: tests/host.rs
    "push", // is called, and calls nobody: beside the kind, and tests of the whole program
    "ping", // tests/ping.rs: networks with routers, silence, forged replies, no permission
    "srt",  // tests/srt_peer.rs: closed ports, silence, noise, echoes, endless datagrams, planted secrets, a lossy way
];

/// The laboratory of a kind.
pub(crate) fn lab(kind: &str) -> Lab {
    match kind {
        "dash" => dash(),
        "hls" => hls(),
        "host" => host(),
        "http" => http(),
        "icecast" => icecast(),
        "mjpeg" => mjpeg(),
        "mpegts" => mpegts(),
        "ping" => ping(),
        "rtmp" => rtmp(),
        "rtsp" => rtsp(),
        "srt" => srt(),
        "tcp" => tcp(),
        "vimeo" => vimeo(),
        "web_presenter" => web_presenter(),
        "youtube" => youtube(),
        other => panic!("the battery has no good peer for the kind {other}: add an arm to lab() in this file"),
    }
}

/// An initialization segment with a segment of one second behind it, and the finished manifest that names it for both.
const DASH_SEGMENT: &[u8] = include_bytes!("../../../wire/testdata/mp4/ffmpeg_h264_aac.bin");
const DASH_MANIFEST: &str = r#"<MPD type="static" mediaPresentationDuration="PT1S" minBufferTime="PT2S"><Period><AdaptationSet>
<Representation id="v" mimeType="video/mp4" codecs="avc1.42c00a,mp4a.40.2" bandwidth="500000" width="64" height="48">
<SegmentTemplate media="$RepresentationID$-$Number$.mp4" initialization="v-1.mp4" duration="1"/>
</Representation></AdaptationSet></Period></MPD>"#;

fn dash() -> Lab {
    const BEGIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/dash+xml\r\n\r\n<MPD type=\"static\"><Period>";
    Lab {
        path: "/live.mpd",
        options: vec![("whole_segment", Value::Bool(true))],
        silence: Phase::FirstByte,
        begin: BEGIN,
        endless: vec![
            Endless { begin: "HTTP/1.1 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless { begin: BEGIN, again: b"<AdaptationSet/>\n", faults: CAPPED },
            Endless { begin: BEGIN, again: b"<a>", faults: CAPPED },
            Endless { begin: "", again: b"x", faults: ENDED },
        ],
        challenge: "HTTP/1.1 401 No\r\nServer: PLANTED\r\nWWW-Authenticate: Basic realm=\"PLANTED\"\r\nContent-Length: 0\r\n\r\n",
        good: || {
            good(async {
                let peer = HttpPeer::with(|request| {
                    let (kind, body) = match request.target.as_str() {
                        "/live.mpd" => ("application/dash+xml", DASH_MANIFEST.as_bytes()),
                        "/v-1.mp4" => ("video/mp4", DASH_SEGMENT),
                        _ => return Reply::text(404, "nothing here"),
                    };
                    Reply::Whole(200, vec![("Content-Type".into(), kind.into())], body.to_vec())
                });
                let peer = peer.await;
                Good { url: peer.url("/live.mpd"), _peer: Box::new(peer) }
            })
        },
        facts: &["status_code", "content_type", "playlist_type", "segments", "segment_format", "segment_bytes", "peer"],
        tracks: "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*",
    }
}

/// A segment of one second, and the finished playlist that lists it.
const HLS_SEGMENT: &[u8] = include_bytes!("../../../wire/testdata/ts/ffmpeg_h264_aac.bin");
const HLS_PLAYLIST: &str =
    "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXTINF:1.0,\ns0.ts\n#EXT-X-ENDLIST\n";

fn hls() -> Lab {
    const BEGIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n#EXTM3U\n#EXTINF:1,\n";
    Lab {
        path: "/live.m3u8",
        options: vec![("whole_segment", Value::Bool(true))],
        silence: Phase::FirstByte,
        begin: BEGIN,
        endless: vec![
            Endless { begin: "HTTP/1.1 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless { begin: "HTTP/1.1 200 OK\r\n\r\n#EXTM3U\n", again: b"#EXTINF:1,\ns.ts\n", faults: CAPPED },
            Endless { begin: BEGIN, again: b"s", faults: CAPPED },
            Endless { begin: "", again: b"x", faults: ENDED },
        ],
        challenge: "HTTP/1.1 401 No\r\nServer: PLANTED\r\nWWW-Authenticate: Basic realm=\"PLANTED\"\r\nContent-Length: 0\r\n\r\n",
        good: || {
            good(async {
                let peer = HttpPeer::with(|request| {
                    let (kind, body) = match request.target.as_str() {
                        "/live.m3u8" => ("application/vnd.apple.mpegurl", HLS_PLAYLIST.as_bytes()),
                        "/s0.ts" => ("video/mp2t", HLS_SEGMENT),
                        _ => return Reply::text(404, "nothing here"),
                    };
                    Reply::Whole(200, vec![("Content-Type".into(), kind.into())], body.to_vec())
                });
                let peer = peer.await;
                Good { url: peer.url("/live.m3u8"), _peer: Box::new(peer) }
            })
        },
        facts: &["status_code", "content_type", "playlist_type", "segments", "segment_format", "segment_bytes", "peer"],
        tracks: "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*",
    }
}

fn host() -> Lab {
    Lab {
        path: "",
        options: vec![("warn_cpu", Value::Int(100))],
        silence: Phase::Transfer,
        begin: "",
        endless: Vec::new(),
        challenge: "",
        good: || good(async { Good { url: "host://local".to_owned(), _peer: Box::new(()) } }),
        facts: &[
            "cpu_used_ratio",
            "load_1",
            "memory_used_ratio",
            "file_systems",
            "uptime_s",
            "scope",
            "own_memory_bytes",
        ],
        tracks: "",
    }
}

fn http() -> Lab {
    Lab {
        path: "/page",
        options: vec![("body_contains", text("welcome"))],
        silence: Phase::FirstByte,
        begin: "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
        endless: vec![
            Endless { begin: "HTTP/1.1 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless { begin: "HTTP/1.1 200 OK\r\nX: ", again: b"y", faults: CAPPED },
            Endless { begin: "HTTP/1.1 200 OK\r\n\r\n", again: b"never that word ", faults: CAPPED },
            Endless {
                begin: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                again: b"1\r\nx\r\n",
                faults: CAPPED,
            },
            Endless { begin: "", again: b"x", faults: ENDED },
        ],
        challenge: "HTTP/1.1 401 No\r\nServer: PLANTED\r\nWWW-Authenticate: Basic realm=\"PLANTED\"\r\nContent-Length: 0\r\n\r\n",
        good: || {
            good(async {
                let peer = HttpPeer::start().await;
                Good { url: peer.url("/"), _peer: Box::new(peer) }
            })
        },
        facts: &["status_code", "content_type", "body_bytes", "server", "peer"],
        tracks: "",
    }
}

/// A frame of MP3: 128 kbit/s, 44100 Hz, stereo, silent.
fn mp3_frame() -> Vec<u8> {
    let mut frame = vec![0xff, 0xfb, 0x90, 0x64];
    frame.resize(417, 0);
    frame
}

fn icecast() -> Lab {
    Lab {
        path: "/tone.mp3",
        options: vec![("status", Value::Bool(true))],
        silence: Phase::FirstByte,
        begin: "ICY 200 OK\r\nContent-Type: audio/mpeg\r\nicy-metaint: 100\r\n\r\nsound",
        endless: vec![
            Endless { begin: "ICY 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless { begin: "HTTP/1.0 200 OK\r\nX: ", again: b"y", faults: CAPPED },
            Endless { begin: "", again: b"x", faults: ENDED },
            Endless { begin: "ICY 200 OK\r\n\r\n", again: b"never a frame ", faults: &[FaultKind::NoMedia] },
            // One octet of sound, then a title without end, again and again.
            Endless { begin: "ICY 200 OK\r\nicy-metaint: 1\r\n\r\n", again: &[0x7f; 16], faults: CAPPED },
        ],
        challenge: "HTTP/1.1 401 No\r\nServer: PLANTED\r\nWWW-Authenticate: Basic realm=\"PLANTED\"\r\nContent-Length: 0\r\n\r\n",
        good: || {
            good(async {
                let peer = HttpPeer::with(|request| match request.target.as_str() {
                    "/status-json.xsl" => {
                        Reply::text(200, r#"{"icestats":{"source":{"listenurl":"http://x:1/tone.mp3","listeners":7}}}"#)
                    }
                    _ => Reply::Endless(
                        b"ICY 200 OK\r\nServer: testkit\r\nContent-Type: audio/mpeg\r\nicy-name: Tone\r\n\r\n".to_vec(),
                        mp3_frame(),
                    ),
                })
                .await;
                Good { url: peer.url("/tone.mp3"), _peer: Box::new(peer) }
            })
        },
        facts: &["status_code", "content_type", "server", "peer", "stream_name", "sound_bitrate_bps", "listeners"],
        tracks: "mp3 44100 Hz 2 ch*",
    }
}

fn mjpeg() -> Lab {
    Lab {
        path: "/video.mjpg",
        options: vec![("frames", Value::Int(2))],
        silence: Phase::FirstByte,
        begin: "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n--b\r\nContent-Type: image/jpeg\r\n\r\n",
        endless: vec![
            Endless { begin: "HTTP/1.1 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless {
                begin: "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n--b\r\n\r\n",
                again: b"picture without end ",
                faults: CAPPED,
            },
            Endless {
                begin: "HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n",
                again: b"--b\r\nContent-Length: 1\r\n\r\nx\r\n",
                faults: &[FaultKind::NoMedia],
            },
            Endless { begin: "HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", again: b"x", faults: ENDED },
        ],
        challenge: "HTTP/1.1 401 No\r\nServer: PLANTED\r\nWWW-Authenticate: Basic realm=\"PLANTED\"\r\nContent-Length: 0\r\n\r\n",
        good: || {
            good(async {
                let peer = camera(Camera::Good).await;
                Good { url: peer.url("http", "/"), _peer: Box::new(peer) }
            })
        },
        facts: &["status_code", "content_type", "frame_bytes", "peer"],
        tracks: "mjpeg Baseline 64x48 FPS*",
    }
}

/// A packet that only fills.
static FILLING: [u8; 188] = {
    let mut packet = [0xff; 188];
    (packet[0], packet[1], packet[3]) = (0x47, 0x1f, 0x10);
    packet
};

fn mpegts() -> Lab {
    Lab {
        path: "/live.ts",
        options: vec![("window", text("200ms"))],
        silence: Phase::FirstByte,
        begin: "HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\nG",
        endless: vec![
            Endless { begin: "HTTP/1.1 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless { begin: "HTTP/1.1 200 OK\r\n\r\n", again: b"never a packet ", faults: ENDED },
            Endless { begin: "HTTP/1.1 200 OK\r\n\r\n", again: &FILLING, faults: CAPPED },
            Endless { begin: "", again: b"x", faults: ENDED },
        ],
        challenge: "HTTP/1.1 401 No\r\nServer: PLANTED\r\nWWW-Authenticate: Basic realm=\"PLANTED\"\r\nContent-Length: 0\r\n\r\n",
        good: || {
            good(async {
                let peer = testkit::ts::server(testkit::ts::Body::Endless).await;
                Good { url: peer.url("http", "/live.ts"), _peer: Box::new(peer) }
            })
        },
        facts: &["status_code", "server", "peer", "transport", "ts_packets", "continuity_errors", "pid_bitrates"],
        tracks: "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*",
    }
}

fn ping() -> Lab {
    Lab {
        path: "",
        options: vec![("count", Value::Int(2)), ("spacing", text("10ms"))],
        silence: Phase::FirstByte,
        begin: "",
        endless: Vec::new(),
        challenge: "",
        good: || good(async { Good { url: "ping://127.0.0.1".to_owned(), _peer: Box::new(()) } }),
        facts: &["echoes_answered", "loss_ratio", "rtt_ms", "rtt_rolling_ms", "reply_ttl", "icmp_socket", "peer"],
        tracks: "",
    }
}

/// The server's half of the handshake and the beginning of an answer to connect.
static RTMP_BEGIN: LazyLock<String> =
    LazyLock::new(|| format!("{}{}_result", rtmp_hello(), "\x03\0\0\0\0\0d\x14\0\0\0\0\x02\0\x07"));
/// The same and a message that is longer than any may be.
static RTMP_HUGE: LazyLock<String> = LazyLock::new(|| rtmp_hello() + "\x03\0\0\0\x40\0\x01\x14\0\0\0\0");
static RTMP_HELLO: LazyLock<String> = LazyLock::new(rtmp_hello);
/// A refusal that quotes the password: bytes that are text as well, so every length is below 128, or padded to be.
static RTMP_REFUSAL: LazyLock<String> = LazyLock::new(|| {
    // As long as what will stand in its place.
    let stand_in = "P".repeat(crate::PLANTED.len());
    let text = |text: &str| format!("\0{}{text}", char::from(u8::try_from(text.len()).expect("short")));
    let pair = |name: &str, value: &str| format!("{}\x02{}", text(name), text(value));
    let words = format!("Authentication failed for {stand_in}");
    let code = pair("code", "NetConnection.Connect.Rejected");
    let object = format!("\x03{}{code}{}\0\0\x09", pair("level", "error"), pair("description", &words));
    let mut body = format!("\x02{}{}\x05{object}", text("onStatus"), "\0".repeat(9));
    while body.len() < 256 {
        body.push('\x05');
    }
    let chunk_size = "\x02\0\0\0\0\0\x04\x01\0\0\0\0\0\0\x10\0";
    let header = format!("\x03\0\0\0\0\x01{}\x14\0\0\0\0", char::from(u8::try_from(body.len() - 256).expect("short")));
    rtmp_hello() + chunk_size + &header + &body.replace(&stand_in, "PLANTED")
});

fn rtmp_hello() -> String {
    format!("\x03{}", "s".repeat(2 * 1536))
}

fn rtmp() -> Lab {
    Lab {
        path: "/live/cam",
        options: vec![("tracks", text("video"))],
        silence: Phase::Handshake,
        begin: &RTMP_BEGIN,
        endless: vec![
            Endless { begin: "", again: b"x", faults: ENDED },
            // Messages of one byte of a type that means nothing.
            Endless { begin: &RTMP_HELLO, again: b"\x03\0\0\0\0\0\x01\x63\0\0\0\0x", faults: CAPPED },
            Endless { begin: &RTMP_HUGE, again: b"x", faults: CAPPED },
        ],
        challenge: &RTMP_REFUSAL,
        good: || {
            good(async {
                let peer = RtmpPeer::start().await;
                Good { url: peer.url("/live/cam"), _peer: Box::new(peer) }
            })
        },
        facts: &["server", "peer", "encoder"],
        tracks: "h264 Constrained Baseline 64x48 10 fps*",
    }
}

fn rtsp() -> Lab {
    Lab {
        path: "/cam",
        options: vec![("transport", text("tcp"))],
        silence: Phase::Describe,
        begin: "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 4000\r\n\r\nv=0\r\n",
        endless: vec![
            Endless { begin: "RTSP/1.0 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless { begin: "RTSP/1.0 200 OK\r\nX: ", again: b"y", faults: CAPPED },
            Endless {
                begin: "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Length: 99999999\r\n\r\n",
                again: b"a=filler\r\n",
                faults: CAPPED,
            },
            Endless { begin: "", again: b"x", faults: ENDED },
        ],
        challenge: "RTSP/1.0 401 No\r\nCSeq: 1\r\nServer: PLANTED\r\nWWW-Authenticate: Basic realm=\"PLANTED\"\r\n\r\n",
        good: || {
            good(async {
                let peer = RtspPeer::start().await;
                Good { url: peer.url(), _peer: Box::new(peer) }
            })
        },
        facts: &["status_code", "server", "peer", "transport", "rtp_packets"],
        tracks: "h264 Constrained Baseline 64x48 10 fps*",
    }
}

fn srt() -> Lab {
    Lab {
        path: "",
        options: vec![("streamid", text("cam"))],
        silence: Phase::Handshake,
        begin: "",
        endless: Vec::new(),
        challenge: "",
        good: || {
            good(async {
                let peer = SrtPeer::start().await;
                Good { url: peer.url(""), _peer: Box::new(peer) }
            })
        },
        facts: &["peer", "srt_version", "srt_latency_ms", "srt_key_bits", "srt_packets", "srt_lost", "srt_receive_bps"],
        tracks: "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*",
    }
}

fn tcp() -> Lab {
    Lab {
        path: "",
        options: vec![("expect_text", text("welcome")), ("send", text("hello\r\n"))],
        silence: Phase::FirstByte,
        begin: "wel",
        endless: vec![Endless { begin: "", again: b"never that word ", faults: CAPPED }],
        challenge: "",
        good: || {
            good(async {
                let peer = bad::says("you are welcome").await;
                Good { url: peer.url("tcp", ""), _peer: Box::new(peer) }
            })
        },
        facts: &["peer", "body_bytes"],
        tracks: "",
    }
}

fn vimeo() -> Lab {
    const BEGIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"title\":\"x\",";
    Lab {
        path: "/live_events/1",
        options: vec![("token", text(vimeo::TOKEN))],
        silence: Phase::FirstByte,
        begin: BEGIN,
        endless: vec![
            Endless { begin: "HTTP/1.1 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless { begin: BEGIN, again: b"\"x\":1,", faults: CAPPED },
            Endless { begin: "", again: b"x", faults: ENDED },
        ],
        challenge: "HTTP/1.1 401 No\r\nServer: PLANTED\r\nContent-Length: 61\r\n\r\n{\"error\":\"PLANTED is no token\", \"developer_message\":\"abcdef\"}",
        good: || {
            good(async {
                let peer = VimeoPeer::start().await;
                Good { url: peer.url("/live_events/1"), _peer: Box::new(peer) }
            })
        },
        facts: &["status_code", "peer", "event_state", "stream_title", "playlist_type", "segment_format", "advance"],
        tracks: "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*",
    }
}

fn web_presenter() -> Lab {
    const BEGIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"status\":\"Streaming\",";
    Lab {
        path: "",
        // By text it is tried in tests of its own: the battery knows one port.
        options: vec![("protocol", text("rest"))],
        silence: Phase::FirstByte,
        begin: BEGIN,
        endless: vec![
            Endless { begin: "HTTP/1.1 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless { begin: BEGIN, again: b"\"x\":1,", faults: CAPPED },
            Endless { begin: "", again: b"x", faults: ENDED },
        ],
        challenge: "HTTP/1.1 401 No\r\nServer: PLANTED\r\nWWW-Authenticate: Basic realm=\"PLANTED\"\r\nContent-Length: 0\r\n\r\n",
        good: || {
            good(async {
                let peer = Encoder::start().await;
                Good { url: peer.url(), _peer: Box::new(peer) }
            })
        },
        facts: &[
            "status_code",
            "peer",
            "encoder_state",
            "encoder_bitrate_bps",
            "streaming_for_s",
            "cache_percent",
            "video_format",
            "platform",
            "quality",
            "device",
            "device_model",
            "firmware",
            "protocol",
        ],
        tracks: "unknown 1920x1080 29.97 fps",
    }
}

fn youtube() -> Lab {
    const BEGIN: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"items\":[{\"id\":\"x\",";
    Lab {
        path: "/live/jfKfPfyJRdk",
        // The client's id is there for the looks that are given a refresh token.
        options: vec![("api_key", text(youtube::API_KEY)), ("client_id", text(youtube::CLIENT_ID))],
        silence: Phase::FirstByte,
        begin: BEGIN,
        endless: vec![
            Endless { begin: "HTTP/1.1 200 OK\r\n", again: b"X-Filler: yes\r\n", faults: CAPPED },
            Endless { begin: BEGIN, again: b"\"x\":1,", faults: CAPPED },
            Endless { begin: "", again: b"x", faults: ENDED },
        ],
        challenge: "HTTP/1.1 401 No\r\nServer: PLANTED\r\n\r\n{\"error\":{\"message\":\"PLANTED is no key\",\"errors\":[{\"reason\":\"PLANTED\"}]}}",
        good: || {
            good(async {
                let peer = YoutubePeer::start().await;
                Good { url: peer.url("/live/jfKfPfyJRdk"), _peer: Box::new(peer) }
            })
        },
        facts: &["status_code", "peer", "event_state", "stream_title", "viewers"],
        tracks: "",
    }
}

/// A mapping of one key.
pub(crate) fn map(key: &str, value: &str) -> Value {
    Value::Map(vec![(key.to_owned(), Node::bare(text(value)))])
}
