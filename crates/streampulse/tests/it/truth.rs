//! The truth table: every URL that the testbed offers, what `streampulse probe` must say of it, and on every good one the
//! tracks as ffprobe describes them in the same run. A URL of the testbed that is in no row fails the test.

use std::collections::{BTreeSet, VecDeque};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;

use crate::support::{cli, testbed};

/// Rows that are looked at side by side: few enough that a small machine gives each its time.
const AT_ONCE: usize = 4;
/// Frame rates count as equal within this part: ffprobe rounds to fractions that it likes.
const FPS_TOLERANCE: f64 = 0.01;

/// How often ffprobe is asked when it differs.
const FFPROBE_TRIES: u32 = 3;

/// What is compared with ffprobe.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tracks {
    /// Codec, profile, size, frame rate, sample rate, channels.
    Equal,
    /// The same without the frame rate, which ffprobe makes up where the stream declares none.
    NoRate,
    /// Nothing: there is no media, or ffprobe cannot open it.
    No,
}
use Tracks::{Equal, No, NoRate};

/// URL, further arguments, status with fault and phase, and what is compared.
type Row = (&'static str, &'static [&'static str], &'static str, Tracks);

const CA: &[&str] = &["--ca-file", "@CA@"];

const ROWS: &[Row] = &[
    ("rtsp://127.0.0.1:18554/h264", &[], "up", Equal),
    ("rtsp://127.0.0.1:18554/h265", &[], "up", Equal),
    ("rtsp://127.0.0.1:18554/720p", &[], "up", Equal),
    ("rtsp://127.0.0.1:18554/mjpeg", &[], "up", Equal),
    ("rtsp://127.0.0.1:18554/audio", &[], "up", Equal),
    ("rtsp://127.0.0.1:18554/frozen", &[], "up", Equal),
    ("rtsp://127.0.0.1:18554/black", &[], "up", Equal),
    ("rtsp://127.0.0.1:18554/silent", &[], "up", Equal),
    ("rtsp://127.0.0.1:18554/stall", &[], "up", No),
    ("rtsp://127.0.0.1:18554/stall", &["-o", "flow=7s", "-t", "15s"], "down no_media (media)", No),
    ("rtsp://127.0.0.1:18554/stall0", &["-o", "flow=3s"], "down no_media (media)", No),
    ("rtsp://127.0.0.1:18554/eos", &[], "up", No),
    ("rtsp://127.0.0.1:18554/udponly", &[], "up", No),
    ("rtsp://127.0.0.1:18554/udponly", &["-o", "transport=tcp"], "down protocol (setup)", No),
    ("rtsp://127.0.0.1:18554/tcponly", &[], "up", Equal),
    ("rtsp://127.0.0.1:18554/tcponly", &["-o", "transport=udp"], "down protocol (setup)", No),
    ("rtsp://127.0.0.1:18554/broken", &[], "down protocol (describe)", No),
    ("rtsp://127.0.0.1:18554/nosuch", &[], "down not_found (describe)", No),
    ("rtsp://viewer:s3cret@127.0.0.1:18555/h264", &[], "up", Equal),
    ("rtsp://viewer:wrong@127.0.0.1:18555/h264", &[], "down auth_required (describe)", No),
    ("rtsp://viewer:s3cret@127.0.0.1:18556/h264", &[], "up", Equal),
    ("rtsp://127.0.0.1:18556/h264", &[], "down auth_required (describe)", No),
    ("rtsps://127.0.0.1:18322/h264", &["--insecure"], "up", Equal),
    ("rtsps://127.0.0.1:18322/h264", &[], "down tls (tls)", No),
    ("rtsp://127.0.0.1:18598/x", &["-t", "1s"], "down timed_out (describe)", No),
    ("rtsp://127.0.0.1:18599/x", &[], "down refused (connect)", No),
    ("rtmp://127.0.0.1:11935/live/cam", &[], "up", Equal),
    ("rtmp://127.0.0.1:11935/live/frozen", &[], "up", Equal),
    ("rtmp://127.0.0.1:11935/live/nosuch", &["-t", "2s"], "down no_media (media)", No),
    ("rtmp://127.0.0.1:11935/keyed/cam?key=letmein", &[], "up", Equal),
    ("rtmp://127.0.0.1:11935/keyed/cam", &[], "down forbidden (play)", No),
    ("rtmp://127.0.0.1:11935/noplay/cam", &[], "down no_media (media)", No),
    ("rtmps://localhost:11936/live/cam", CA, "up", Equal),
    ("rtmps://localhost:11936/live/cam", &[], "down tls (tls)", No),
    ("rtmp://127.0.0.1:11935/vod/h264_360p.mp4", &[], "up", Equal),
    ("rtmp://127.0.0.1:18598/live/x", &["-t", "1s"], "down timed_out (handshake)", No),
    ("rtmp://127.0.0.1:18599/live/x", &[], "down refused (connect)", No),
    ("http://127.0.0.1:18080/hls/cam.m3u8", &[], "up", Equal),
    ("http://127.0.0.1:18080/live/ff/index.m3u8", &[], "up", Equal),
    ("http://127.0.0.1:18080/vod/ts/index.m3u8", &[], "up", Equal),
    ("http://127.0.0.1:18080/vod/fmp4/index.m3u8", &[], "up", Equal),
    ("http://127.0.0.1:18080/vod/aes/index.m3u8", &[], "up", Equal),
    ("http://127.0.0.1:18080/vod/multi/master.m3u8", &[], "up", Equal),
    ("http://127.0.0.1:18080/bad/stale/index.m3u8", &[], "down stale (check)", No),
    ("http://127.0.0.1:18080/bad/missing/index.m3u8", &[], "down not_found (media)", No),
    ("http://127.0.0.1:18080/bad/empty/index.m3u8", &[], "down protocol (check)", No),
    ("http://127.0.0.1:18080/bad/html/index.m3u8", &[], "down protocol (check)", No),
    ("http://127.0.0.1:18080/bad/corrupt/index.m3u8", &[], "down protocol (media)", No),
    ("http://127.0.0.1:18080/bad/gap/index.m3u8", &[], "down stale (check)", No),
    ("http://127.0.0.1:18080/media/h264_360p.mp4", &[], "up", No),
    ("http://127.0.0.1:18080/status/404", &[], "down not_found (first_byte)", No),
    ("http://127.0.0.1:18080/status/500", &[], "down protocol (first_byte)", No),
    ("http://127.0.0.1:18080/slow", &["-o", "expect.warn_after=2s"], "degraded", No),
    ("http://127.0.0.1:18080/hang", &["-t", "1s"], "down timed_out (first_byte)", No),
    ("http://127.0.0.1:18080/redirect", &[], "up", No),
    ("http://127.0.0.1:18080/redirect-loop", &[], "down protocol (first_byte)", No),
    ("http://127.0.0.1:18080/json", &[], "up", No),
    ("http://127.0.0.1:18080/throttled/", &[], "down forbidden (first_byte)", No),
    ("http://127.0.0.1:18080/private/", &[], "down auth_required (first_byte)", No),
    ("http://viewer:s3cret@127.0.0.1:18080/private/", &["-o", "expect_status=403"], "up", No),
    ("http://127.0.0.1:18598/", &["-t", "1s"], "down timed_out (first_byte)", No),
    ("http://127.0.0.1:18599/", &[], "down refused (connect)", No),
    ("https://localhost:18443", &["--ca-file", "@CA@", "-o", "expect_status=403"], "up", No),
    ("https://localhost:18443", &[], "down tls (tls)", No),
    ("https://localhost:18444", CA, "down tls (tls)", No),
    ("https://localhost:18445", CA, "down tls (tls)", No),
    ("https://localhost:18446", &["--ca-file", "@CA@", "-o", "expect_status=403"], "degraded", No),
    ("https://localhost:18447", CA, "down tls (first_byte)", No),
    ("http://127.0.0.1:18080/dash/cam.mpd", &[], "up", Equal),
    ("http://127.0.0.1:18080/live/ffdash/manifest.mpd", &[], "up", Equal),
    ("http://127.0.0.1:18080/dash/nosuch.mpd", &[], "down not_found (first_byte)", No),
    ("srt://127.0.0.1:18890", &[], "up", Equal),
    ("srt://127.0.0.1:18891?passphrase=correcthorsebattery", &[], "up", Equal),
    ("srt://127.0.0.1:18891?passphrase=wrongwrongwrong", &[], "down auth_required (handshake)", No),
    ("srt://127.0.0.1:18891", &[], "down auth_required (handshake)", No),
    ("srt://127.0.0.1:18599", &["-t", "2s"], "down refused (connect)", No),
    ("udp://127.0.0.1:18501", &[], "up", Equal),
    ("rtp://127.0.0.1:18504", &[], "up", Equal),
    ("udp://127.0.0.1:18599", &["-t", "1s"], "down no_media (media)", No),
    ("http://127.0.0.1:18000/tone.mp3", &["-k", "icecast"], "up", Equal),
    ("http://127.0.0.1:18000/tone.ogg", &["-k", "icecast"], "up", Equal),
    ("http://127.0.0.1:18000/nosuch.mp3", &["-k", "icecast"], "down not_found (first_byte)", No),
    ("http://127.0.0.1:18000/members.mp3", &["-k", "icecast"], "down auth_required (first_byte)", No),
    ("http://127.0.0.1:18081/", &["-k", "mjpeg"], "up", NoRate),
    ("http://viewer:s3cret@127.0.0.1:18082/", &["-k", "mjpeg"], "up", No),
    ("http://127.0.0.1:18082/", &["-k", "mjpeg"], "down auth_required (first_byte)", No),
    ("http://127.0.0.1:18083/stream.mjpg", &[], "up", No),
];

/// Status, fault kind and phase, as a row writes them.
fn outcome(seen: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    match &seen["fault"] {
        Value::Null => word(&seen["status"]),
        fault => format!("{} {} ({})", word(&seen["status"]), word(&fault["kind"]), word(&fault["phase"])),
    }
}

/// What ffprobe says of the streams of a URL.
fn ffprobe(url: &str) -> Result<Vec<Value>, String> {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-print_format", "json", "-show_streams"]);
    if url.starts_with("rtsp") {
        command.args(["-rtsp_transport", "tcp"]);
    }
    let output = command.arg(url).output().map_err(|e| format!("the testbed installs ffprobe: {e}"))?;
    let said: Value = serde_json::from_slice(&output.stdout).map_err(|e| e.to_string())?;
    let streams = said["streams"].as_array().cloned().unwrap_or_default();
    if streams.is_empty() {
        return Err(format!("ffprobe finds nothing: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(streams)
}

/// One of our tracks in the words of ffprobe, without what it does not tell.
fn differences(ours: &Value, truth: &Value, tracks: Tracks) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, ours: Value, truth: Value| {
        if ours != truth {
            found.push(format!("{what} is {ours}, ffprobe says {truth}"));
        }
    };
    let known = |value: &Value| match value.as_str() {
        Some("unknown") => Value::Null,
        _ => value.clone(),
    };
    compare("codec", ours["codec"].clone(), truth["codec_name"].clone());
    compare("profile", ours["profile"].clone(), known(&truth["profile"]));
    compare("width", ours["width"].clone(), truth["width"].clone());
    compare("height", ours["height"].clone(), truth["height"].clone());
    compare("channels", ours["channels"].clone(), truth["channels"].clone());
    let hz = truth["sample_rate"].as_str().and_then(|hz| hz.parse::<u64>().ok());
    compare("sample rate", ours["sample_rate_hz"].clone(), hz.map_or(Value::Null, Value::from));
    if tracks == Equal && ours["media"] == "video" {
        let rate = truth["r_frame_rate"].as_str().and_then(|text| text.split_once('/')).and_then(|(n, d)| {
            let (n, d): (f64, f64) = (n.parse().ok()?, d.parse().ok()?);
            (d > 0.0).then_some(n / d)
        });
        let close = ours["fps"].as_f64().zip(rate).is_some_and(|(a, b)| (a - b).abs() <= b * FPS_TOLERANCE);
        if !close {
            found.push(format!("frame rate is {}, ffprobe says {rate:?}", ours["fps"]));
        }
    }
    found
}

/// What is wrong with one row.
fn check(row: &Row, folder: &Path) -> Vec<String> {
    let (url, args, expected, tracks) = *row;
    let ca = folder.join("ca/ca.pem").display().to_string();
    let args: Vec<String> = args.iter().map(|arg| arg.replace("@CA@", &ca)).collect();
    let mut all = vec!["probe", "--json", "--log", "error"];
    all.extend(args.iter().map(String::as_str));
    all.push(url);
    let output = cli(&all);
    let Ok(seen) = serde_json::from_slice::<Value>(&output.stdout) else {
        return vec![format!("no JSON: {}", String::from_utf8_lossy(&output.stderr))];
    };
    if outcome(&seen) != expected {
        return vec![format!("{}, expected {expected}: {}", outcome(&seen), seen["reasons"])];
    }
    if tracks == No {
        return Vec::new();
    }
    let ours = seen["tracks"].as_array().cloned().unwrap_or_default();
    // ffprobe guesses the frame rate of streams that declare none by the first pictures that come, and a busy machine makes
    // it guess wrong now and then: it is asked again before it is believed against us.
    let mut found = Vec::new();
    for _ in 0..FFPROBE_TRIES {
        found = match ffprobe(url) {
            Ok(truth) => compare(&ours, &truth, tracks),
            Err(words) => vec![words],
        };
        if found.is_empty() {
            break;
        }
    }
    found
}

/// What differs between our tracks and the streams of ffprobe.
fn compare(ours: &[Value], truth: &[Value], tracks: Tracks) -> Vec<String> {
    let media = |list: &[Value], key: &str| -> BTreeSet<String> {
        list.iter().filter_map(|t| t[key].as_str().map(str::to_owned)).filter(|m| m != "data").collect()
    };
    let mut found = Vec::new();
    if media(ours, "media") != media(truth, "codec_type") {
        found.push(format!("tracks are {:?}, ffprobe says {:?}", media(ours, "media"), media(truth, "codec_type")));
    }
    for track in ours {
        // Of several variants one is looked at: the one of ffprobe's streams that is most like it.
        let alike = truth.iter().filter(|t| t["codec_type"] == track["media"]);
        let best = alike.map(|t| differences(track, t, tracks)).min_by_key(Vec::len);
        found.extend(best.unwrap_or_default());
    }
    found
}

#[test]
fn every_url_of_the_testbed_is_what_the_table_says_and_what_ffprobe_says() {
    let Some(folder) = testbed("the truth table") else { return };
    let queue: Mutex<VecDeque<&Row>> = Mutex::new(ROWS.iter().collect());
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(row) = queue.lock().expect("no thread panics with it").pop_front() else { break };
                    for text in check(row, &folder) {
                        let line = format!("{} {:?}: {text}", row.0, row.1);
                        wrong.lock().expect("no thread panics with it").push(line);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no thread panicked with it");
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// `a{b,c}d` is `abd` and `acd`.
fn expand(word: &str) -> Vec<String> {
    let Some((before, rest)) = word.split_once('{') else { return vec![word.to_owned()] };
    let Some((inner, after)) = rest.split_once('}') else { return vec![word.to_owned()] };
    inner.split(',').map(|one| format!("{before}{one}{after}")).collect()
}

/// Every URL in the testbed's own list: a path belongs to the address before it in its line.
fn offered(list: &str) -> BTreeSet<String> {
    let mut urls = BTreeSet::new();
    for line in list.lines().take_while(|line| !line.starts_with("optional:")) {
        let mut base = String::new();
        for word in line.replace("@ADDR@", "127.0.0.1").split_whitespace() {
            if let Some(at) = word.find("://") {
                let end = word[at + 3..].find('/').map_or(word.len(), |i| at + 3 + i);
                base = word[..end].to_owned();
                urls.extend(expand(word));
            } else if word.starts_with('/') && !base.is_empty() {
                urls.extend(expand(word).into_iter().map(|path| format!("{base}{path}")));
            }
        }
    }
    urls
}

#[test]
fn no_url_of_the_testbed_is_left_out() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testbed/conf/urls.txt.in");
    let list = std::fs::read_to_string(path).expect("the testbed lists its URLs");
    let known: Vec<&str> = ROWS.iter().map(|row| row.0).collect();
    let stem = |url: &str| url.trim_end_matches(['*', 'N', '/']).replace("*.mp4", "");
    let missing: Vec<String> =
        offered(&list).into_iter().filter(|url| !known.iter().any(|k| k.starts_with(&stem(url)))).collect();
    assert!(missing.is_empty(), "no row for {missing:#?}");
    assert!(offered(&list).len() > 40, "the list is read");
}
