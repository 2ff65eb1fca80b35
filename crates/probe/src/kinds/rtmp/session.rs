//! From a connection to a stream being played: connect, createStream, play, and what the server answers to each. Owns the
//! meaning of status codes; reads no media.

use model::address::{Address, Credentials};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use wire::rtmp::{self, Command, Content, Demand, Message, Status, Value, kind, user};

use super::connection::{Connection, Incoming};
use super::place::Place;
use crate::kind::client_nonce;

/// How we call ourselves: some servers refuse whoever does not begin like a Flash player.
const FLASH_VERSION: &str = "LNX 9,0,124,2";
/// Codecs of FLV that we say to know: all of them (RTMP 1.0, 7.2.1.1).
const AUDIO_CODECS: f64 = 4071.0;
const VIDEO_CODECS: f64 = 252.0;
/// Codecs of Enhanced RTMP that we say to know.
const FOUR_CCS: [&str; 9] = ["avc1", "hvc1", "av01", "vp09", "vp08", "mp4a", "Opus", "fLaC", ".mp3"];
/// Window that we ask for, as players do.
const WINDOW_BYTES: u32 = 2_500_000;
/// Buffer that we claim to have, in milliseconds.
const BUFFER_MS: u32 = 1000;
/// Rounds of signing in: who we are, then the answer to the challenge.
const MAX_SIGN_INS: u32 = 2;

const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 2.0;

/// What became of a connect.
pub(super) enum Connected {
    /// The application took us; the server's name for itself.
    Here(Option<String>),
    /// The application is on another server.
    Moved(String),
    /// To be tried again on a new connection, with the sign-in that is now known.
    Again,
}

/// Sign-in over several connections.
pub(super) struct SignIn {
    credentials: Option<Credentials>,
    /// What stands behind the application's name.
    query: String,
    tries: u32,
}

impl SignIn {
    pub(super) fn new(address: &Address) -> Self {
        Self { credentials: address.credentials().cloned(), query: String::new(), tries: 0 }
    }

    /// Takes what the server demands. An error when it cannot be met.
    fn meet(&mut self, demand: &Demand) -> Result<(), Fault> {
        let refused = |detail: String| Err(Fault::new(FaultKind::AuthRequired, Phase::Play, detail));
        if let Demand::Foreign(scheme) = demand {
            return refused(format!("the server asks for a sign-in by \"{scheme}\"; only adobe is known"));
        }
        let Some(credentials) = &self.credentials else {
            return refused("the server asks for a user name and a password, and none is configured".to_owned());
        };
        if *demand == Demand::Wrong || self.tries >= MAX_SIGN_INS {
            return refused("the server refuses the user name or password".to_owned());
        }
        self.tries += 1;
        self.query = match demand {
            Demand::Answer(challenge) => {
                let nonce = client_nonce(Phase::Play)?;
                let password = credentials.password.expose();
                rtmp::answer_adobe(challenge, &credentials.user, password, &nonce[..8])
            }
            _ => format!("?authmod=adobe&user={}", credentials.user),
        };
        Ok(())
    }
}

/// Asks for the application.
pub(super) async fn connect(
    connection: &mut Connection,
    place: &Place,
    sign_in: &mut SignIn,
) -> Result<Connected, Fault> {
    let text = |name: &str, text: String| (name.to_owned(), Value::Text(text));
    let number = |name: &str, number: f64| (name.to_owned(), Value::Number(number));
    let player = Value::Object(vec![
        text("app", place.app(&sign_in.query)),
        text("flashVer", FLASH_VERSION.to_owned()),
        text("tcUrl", place.tc_url(&sign_in.query)),
        ("fpad".to_owned(), Value::Bool(false)),
        number("capabilities", 15.0),
        number("audioCodecs", AUDIO_CODECS),
        number("videoCodecs", VIDEO_CODECS),
        number("videoFunction", 1.0),
        number("objectEncoding", 0.0),
        ("fourCcList".to_owned(), Value::List(FOUR_CCS.iter().map(|name| Value::from(*name)).collect())),
    ]);
    let command = Command::new("connect", CONNECT, vec![player]);
    connection.send(Phase::Play, &[Message::command(0, &command)]).await?;
    let Some(answer) = answer(connection, CONNECT).await? else {
        let app = place.shown_app();
        let detail = format!(
            "the server closed the connection when asked for the application \"{app}\": it does not know it, or does \
             not serve us"
        );
        return Err(Fault::new(FaultKind::NotFound, Phase::Play, detail));
    };
    let status = answer.status().unwrap_or_default();
    if answer.name == "_result" && status.level != "error" {
        let version = answer.values.iter().find_map(|value| value.get("fmsVer")?.as_text()).map(str::to_owned);
        return Ok(Connected::Here(version));
    }
    if let Some(to) = answer.values.iter().find_map(|value| value.get("ex")?.get("redirect")?.as_text()) {
        return Ok(Connected::Moved(to.to_owned()));
    }
    if let Some(demand) = rtmp::demand(&status.description) {
        sign_in.meet(&demand)?;
        return Ok(Connected::Again);
    }
    Err(refusal(&status, place, sign_in.credentials.is_some()))
}

/// Makes a stream and asks to play into it.
pub(super) async fn play(connection: &mut Connection, place: &Place) -> Result<(), Fault> {
    let create = Command::new("createStream", CREATE_STREAM, vec![Value::Null]);
    let window = Message::control(kind::WINDOW_SIZE, WINDOW_BYTES);
    connection.send(Phase::Play, &[window, Message::command(0, &create)]).await?;
    let Some(answer) = answer(connection, CREATE_STREAM).await? else {
        let detail = "the server closed the connection when asked for a stream to play into";
        return Err(Fault::protocol(Phase::Play, detail));
    };
    if answer.name != "_result" {
        return Err(refusal(&answer.status().unwrap_or_default(), place, false));
    }
    let id = answer.values.iter().find_map(|value| match value {
        Value::Number(id) if *id >= 0.0 && *id <= f64::from(u32::MAX) => Some(*id as u32),
        _ => None,
    });
    let id = id.ok_or_else(|| Fault::protocol(Phase::Play, "the answer to createStream names no stream"))?;
    let play = Command::new("play", 0.0, vec![Value::Null, Value::from(place.stream())]);
    let buffer = Message::user(user::SET_BUFFER_LENGTH, &[id, BUFFER_MS]);
    let play = Message { chunk_stream: 8, ..Message::command(id, &play) };
    connection.send(Phase::Play, &[play, buffer]).await
}

/// Waits for the answer to a command; `None` when the server hangs up instead.
async fn answer(connection: &mut Connection, transaction: f64) -> Result<Option<Command>, Fault> {
    loop {
        let Incoming::Message(content, _) = connection.next(Phase::Play).await? else { return Ok(None) };
        let Content::Command(command) = content else { continue };
        let ours = matches!(command.name.as_str(), "_result" | "_error") && command.transaction == transaction;
        let error = command.name == "onStatus" && command.status().is_some_and(|status| status.level == "error");
        if ours || error {
            return Ok(Some(command));
        }
        if command.name == "close" {
            return Ok(None);
        }
    }
}

/// What a status means for a stream that is to be played.
pub(super) enum Turn {
    /// Nothing.
    None,
    /// Playing has begun.
    Started,
    /// The stream ended.
    Ended(String),
}

/// Follows a command that comes while a stream is being played.
pub(super) fn follow(command: &Command, place: &Place) -> Result<Turn, Fault> {
    let Some(status) = command.status() else { return Ok(Turn::None) };
    match status.code.as_str() {
        "NetStream.Play.Start" => Ok(Turn::Started),
        "NetStream.Play.Stop" | "NetStream.Play.Complete" | "NetStream.Play.UnpublishNotify" => {
            Ok(Turn::Ended(status.code))
        }
        _ if status.level == "error" || command.name == "_error" => Err(refusal(&status, place, false)),
        _ => Ok(Turn::None),
    }
}

/// The fault for a status that refuses. `signed_in`: a user name and a password are configured.
fn refusal(status: &Status, place: &Place, signed_in: bool) -> Fault {
    let Status { code, description, .. } = status;
    let kind = match code.as_str() {
        "NetStream.Play.StreamNotFound" | "NetStream.Play.FileNotFound" | "NetConnection.Connect.InvalidApp" => {
            FaultKind::NotFound
        }
        "NetConnection.Connect.Rejected" => by_words(description).unwrap_or(FaultKind::Forbidden),
        _ => by_words(description).unwrap_or(FaultKind::Protocol),
    };
    let code = if code.is_empty() { "an error without a code" } else { code };
    let said = if description.is_empty() { String::new() } else { format!(": {}", description.escape_debug()) };
    let shown = place.shown();
    let detail = match kind {
        FaultKind::NotFound => format!("the server knows no {shown} ({code}{said})"),
        FaultKind::AuthRequired if signed_in => {
            format!("the server refuses the user name or password ({code}{said})")
        }
        FaultKind::AuthRequired => format!("the server asks for a user name, password or key ({code}{said})"),
        _ => format!("the server refuses {shown} ({code}{said})"),
    };
    Fault::new(kind, Phase::Play, detail)
}

/// What the words of a refusal mean. There is no standard; these are the words that servers use.
fn by_words(text: &str) -> Option<FaultKind> {
    let text = text.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["unauth", "authent", "401", "password", "credential", "need auth", "login"]) {
        Some(FaultKind::AuthRequired)
    } else if has(&["forbidden", "403", "denied", "not allowed", "permission"]) {
        Some(FaultKind::Forbidden)
    } else if has(&["not found", "404", "no such", "unknown", "not exist", "no stream"]) {
        Some(FaultKind::NotFound)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_by_code_and_words() {
        let address = Address::parse("rtmp://h/live/cam?key=hunter2").expect("a URL");
        let place = Place::of(&address, None, None).expect("a path");
        for (code, description, expected) in [
            ("NetStream.Play.StreamNotFound", "", "not_found: the server knows no live/cam"),
            ("NetConnection.Connect.InvalidApp", "", "not_found: "),
            ("NetConnection.Connect.Rejected", "go away", "forbidden: the server refuses live/cam"),
            ("NetConnection.Connect.Rejected", "Authentication failed", "auth_required: "),
            ("NetStream.Play.Failed", "403 Forbidden", "forbidden: "),
            ("NetStream.Play.Failed", "boom", "protocol: the server refuses live/cam (NetStream.Play.Failed: boom)"),
            ("", "", "protocol: the server refuses live/cam (an error without a code)"),
        ] {
            let status = Status { level: "error".into(), code: code.into(), description: description.into() };
            let fault = refusal(&status, &place, false);
            let seen = format!("{}: {}", fault.kind, fault.detail);
            assert!(seen.starts_with(expected) && !seen.contains("hunter2"), "{code} {description}: {seen}");
        }
    }
}
