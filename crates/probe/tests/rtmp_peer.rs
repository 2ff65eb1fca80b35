//! The rtmp kind against a scripted server: sign-in, redirects, refusals, odd streams.

mod support;

use std::time::Duration;

use model::observation::Observation;
use support::{fact, look, outcome, target, tracks, words};
use testkit::rtmp::{Act, RtmpPeer, config, good, media, metadata, on_status, picture, refuse};
use testkit::tls::{Authority, Certificate};
use wire::rtmp::{Command, Message, Value, kind};

const NEED: &str = "[ AccessManager.Reject ] : [ code=403 need auth; authmod=adobe ] : ";
const ASKED: &str =
    "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=u&salt=SALT&challenge=CH&opaque=OP";
const WRONG: &str = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=authfailed&opaque=OP";
const REJECTED: &str = "NetConnection.Connect.Rejected";

/// A server that plays these messages, and the look at it.
async fn play(options: &[(&str, &str)], messages: &[Message], close: bool) -> Observation {
    let messages: Vec<Act> = messages.iter().cloned().map(Act::Send).chain(close.then_some(Act::Close)).collect();
    let script = move |command: &Command| if command.name == "play" { messages.clone() } else { good(command) };
    let peer = RtmpPeer::with(script, None).await;
    let mut target = target(&peer.url("/live/cam"), options);
    target.timeout = Duration::from_secs(2);
    look(&target).await
}

fn app(command: &Command) -> String {
    command.values.first().and_then(|v| v.get("app")?.as_text()).unwrap_or_default().to_owned()
}

fn start() -> Message {
    on_status("status", "NetStream.Play.Start", "")
}

/// A server that signs in as Adobe's do; it takes any answer to its challenge unless it is `strict`.
async fn adobe(strict: bool) -> RtmpPeer {
    let script = move |command: &Command| {
        let app = app(command);
        let refusal = match command.name.as_str() {
            "connect" if !app.contains("authmod=adobe") => NEED,
            "connect" if !app.contains("response=") => ASKED,
            "connect" if strict || !app.contains("&opaque=OP") => WRONG,
            _ => return good(command),
        };
        vec![Act::Send(refuse(command, REJECTED, refusal, &[])), Act::Close]
    };
    RtmpPeer::with(script, None).await
}

#[tokio::test]
async fn adobe_sign_in_takes_three_connections_and_shows_no_password() {
    let peer = adobe(false).await;
    let signed = peer.url("/live/cam").replacen("://", "://u:hunter2@", 1);
    let seen = look(&target(&signed, &[])).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    assert_eq!(peer.stats().accepted(), 3);
    let sent = format!("{:?}", peer.commands());
    assert!(sent.contains("?authmod=adobe&user=u&challenge=") && !sent.contains("hunter2"), "{sent}");
    let seen = look(&target(&peer.url("/live/cam"), &[])).await;
    assert_eq!(outcome(&seen), "auth_required (play)");
    assert!(words(&seen).contains("none is configured"), "{}", words(&seen));
    let strict = adobe(true).await;
    let seen = look(&target(&strict.url("/live/cam"), &[("user", "u"), ("password", "hunter2")])).await;
    assert_eq!(outcome(&seen), "auth_required (play)");
    assert!(words(&seen).contains("refuses the user name or password"), "{}", words(&seen));
}

#[tokio::test]
async fn what_is_asked_for_is_what_the_url_says() {
    let peer = RtmpPeer::start().await;
    let seen = look(&target(&peer.url("/live"), &[("stream_key", "s3cr3t?x=1")])).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    assert!(!format!("{seen:?}").contains("s3cr3t"), "{seen:?}");
    let commands = peer.commands();
    let names: Vec<_> = commands.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["connect", "createStream", "play"]);
    assert_eq!(app(&commands[0]), "live");
    let tc_url = commands[0].values[0].get("tcUrl").and_then(Value::as_text);
    assert_eq!(tc_url, Some(peer.url("/live").as_str()));
    assert_eq!(commands[2].values[1], Value::from("s3cr3t?x=1"));
}

#[tokio::test]
async fn redirects_are_followed_and_counted() {
    let there = RtmpPeer::start().await;
    for to in [there.url("/live"), there.url("/live/cam?key=k3yk3y")] {
        let here = RtmpPeer::with(
            move |command: &Command| {
                let ex = Value::Object(vec![("redirect".to_owned(), to.as_str().into())]);
                vec![Act::Send(refuse(command, REJECTED, "elsewhere", &[("ex", ex)])), Act::Close]
            },
            None,
        )
        .await;
        let seen = look(&target(&here.url("/live/cam?key=k3yk3y"), &[])).await;
        assert_eq!((outcome(&seen).as_str(), fact(&seen, "redirects").as_str()), ("up", "1"), "{:?}", seen.look);
        let asked = there.commands().pop().expect("it was asked");
        assert_eq!(asked.values[1], Value::from("cam?key=k3yk3y"));
    }
    let circle = RtmpPeer::with(
        |command: &Command| {
            let url = command.values[0].get("tcUrl").and_then(Value::as_text).unwrap_or_default().to_owned();
            let ex = Value::Object(vec![("redirect".to_owned(), format!("{url}/cam").as_str().into())]);
            vec![Act::Send(refuse(command, REJECTED, "elsewhere", &[("ex", ex)]))]
        },
        None,
    )
    .await;
    let seen = look(&target(&circle.url("/live/cam"), &[])).await;
    assert_eq!(outcome(&seen), "protocol (play)");
    assert!(words(&seen).contains("more than 3 redirects"), "{}", words(&seen));
}

#[tokio::test]
async fn refusals_are_faults_of_their_kind() {
    for (at, code, description, expected) in [
        ("connect", REJECTED, "not open to you", "forbidden (play)"),
        ("connect", REJECTED, "401 Unauthorized", "auth_required (play)"),
        ("connect", "NetConnection.Connect.InvalidApp", "", "not_found (play)"),
        ("createStream", "NetConnection.Call.Failed", "", "protocol (play)"),
        ("play", "NetStream.Play.StreamNotFound", "", "not_found (play)"),
        ("play", "NetStream.Play.Failed", "access denied", "forbidden (play)"),
    ] {
        let script = move |command: &Command| match command.name == at {
            true if at == "play" => vec![Act::Send(on_status("error", code, description))],
            true => vec![Act::Send(refuse(command, code, description, &[]))],
            false => good(command),
        };
        let peer = RtmpPeer::with(script, None).await;
        let seen = look(&target(&peer.url("/live/cam"), &[])).await;
        assert_eq!(outcome(&seen), expected, "{at} {code} {description}: {:?}", seen.look);
    }
}

#[tokio::test]
async fn only_coded_frames_prove_media() {
    let both = metadata(&[("videocodecid", Value::Number(7.0)), ("audiocodecid", Value::Number(10.0))]);
    let sound = |bytes: &[u8]| media(kind::AUDIO, 0, bytes.to_vec());
    let sound_config = sound(b"\xaf\0\x11\x90");
    for (messages, close, expected, part, shown) in [
        (vec![start()], false, "no_media (media)", "nothing of live/cam came within 2 s", ""),
        (
            vec![start(), both.clone(), config()],
            false,
            "no_media (media)",
            "no video and audio frame",
            "h264 Constrained Baseline 64x48 10 fps",
        ),
        (
            vec![start(), both.clone(), config(), picture(0)],
            false,
            "no_media (media)",
            "no audio frame of live/cam within 2 s; metadata came; 2 video messages came with 1 frames",
            "h264 Constrained Baseline 64x48 10 fps*",
        ),
        (
            vec![start(), both.clone(), sound_config.clone(), config(), sound(b"\xaf\x01\x21\0"), picture(0)],
            true,
            "up",
            "",
            "h264 Constrained Baseline 64x48 10 fps* + aac LC 48000 Hz 2 ch*",
        ),
        (
            vec![start(), picture(0)],
            true,
            "no_media (media)",
            "the last was refused: a frame before its configuration",
            "h264",
        ),
        // Without metadata a further track is waited for, and the end of the stream ends the wait.
        (vec![start(), config(), picture(0)], false, "up", "", "h264 Constrained Baseline 64x48 10 fps*"),
        (vec![start(), config(), picture(0)], true, "up", "", "h264 Constrained Baseline 64x48 10 fps*"),
        (vec![config(), picture(0)], false, "up", "", "h264 Constrained Baseline 64x48 10 fps*"),
        (
            vec![start(), on_status("status", "NetStream.Play.UnpublishNotify", "")],
            false,
            "no_media (media)",
            "before the stream ended (NetStream.Play.UnpublishNotify)",
            "",
        ),
    ] {
        let seen = play(&[], &messages, close).await;
        assert_eq!(outcome(&seen), expected, "{messages:?}: {:?}", seen.look);
        assert!(words(&seen).contains(part), "{}", words(&seen));
        assert_eq!(tracks(&seen), shown, "{messages:?}");
    }
}

#[tokio::test]
async fn one_track_is_enough_when_asked_for_and_needed_when_it_is_missing() {
    let seen = play(&[("tracks", "video")], &[start(), config(), picture(0)], false).await;
    assert_eq!(outcome(&seen), "up");
    assert!(seen.took < Duration::from_millis(900), "nothing else is waited for: {:?}", seen.took);
    let seen = play(&[("tracks", "audio")], &[start(), config(), picture(0)], false).await;
    assert_eq!(outcome(&seen), "no_media (media)");
    assert!(words(&seen).starts_with("no audio frame of live/cam within 2 s"), "{}", words(&seen));
}

#[tokio::test]
async fn claims_are_shown_where_the_stream_says_otherwise() {
    let told = [
        ("videocodecid", Value::Number(7.0)),
        ("width", Value::Number(1920.0)),
        ("height", Value::Number(1080.0)),
        ("framerate", Value::Number(60.0)),
        ("videodatarate", Value::Number(2500.0)),
    ];
    let seen = play(&[], &[start(), metadata(&told), config(), picture(0)], false).await;
    assert_eq!(tracks(&seen), "h264 Constrained Baseline 64x48 10 fps*");
    assert_eq!(seen.look.reading.tracks[0].bitrate_bps, Some(2_500_000));
    assert_eq!(fact(&seen, "declared_size"), "1920x1080");
    assert_eq!(fact(&seen, "declared_fps"), "Num(60.0)");
}

#[tokio::test]
async fn an_aggregate_carries_frames() {
    let mut tags = Vec::new();
    for message in [config(), picture(40)] {
        tags.push(message.kind);
        tags.extend(&u32::try_from(message.payload.len()).expect("small").to_be_bytes()[1..]);
        tags.extend([0; 7]);
        tags.extend(&message.payload[..]);
        tags.extend([0; 4]);
    }
    let seen = play(&[], &[start(), media(kind::AGGREGATE, 0, tags)], true).await;
    assert_eq!((outcome(&seen).as_str(), tracks(&seen).as_str()), ("up", "h264 Constrained Baseline 64x48 10 fps*"));
}

#[tokio::test]
async fn tls_is_judged_by_the_authority() {
    let authority = Authority::new();
    let peer = RtmpPeer::with(good, Some(authority.acceptor(Certificate::Good))).await;
    let ca = authority.file("ca.pem").display().to_string();
    let seen = look(&target(&peer.url("/live/cam"), &[("ca_file", &ca)])).await;
    assert_eq!(outcome(&seen), "up", "{:?}", seen.look);
    let seen = look(&target(&peer.url("/live/cam"), &[])).await;
    assert_eq!(outcome(&seen), "tls (tls)");
}
