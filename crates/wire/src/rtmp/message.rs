//! What messages hold: control values, commands with their answers, aggregates.
//!
//! Never judges: what a status code means to a check is the check's business.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::amf0::{AmfError, Value, encode_values, parse_values};
use super::chunk::Message;

/// Types of messages (RTMP 1.0, 5.4 and 7.1).
pub mod kind {
    /// The sender's chunk size from now on.
    pub const SET_CHUNK_SIZE: u8 = 1;
    /// Forget the message that is arriving on a chunk stream.
    pub const ABORT: u8 = 2;
    /// Bytes received so far.
    pub const ACKNOWLEDGEMENT: u8 = 3;
    /// User control: stream begin and end, pings.
    pub const USER_CONTROL: u8 = 4;
    /// How many bytes the peer sends between acknowledgements.
    pub const WINDOW_SIZE: u8 = 5;
    /// How many unacknowledged bytes we may send.
    pub const PEER_BANDWIDTH: u8 = 6;
    /// Sound.
    pub const AUDIO: u8 = 8;
    /// Pictures.
    pub const VIDEO: u8 = 9;
    /// Data in AMF3, which begins with a switch back to AMF0.
    pub const DATA_AMF3: u8 = 15;
    /// A command in AMF3, which begins with a switch back to AMF0.
    pub const COMMAND_AMF3: u8 = 17;
    /// Data in AMF0: metadata, cue points.
    pub const DATA: u8 = 18;
    /// A command in AMF0.
    pub const COMMAND: u8 = 20;
    /// Several messages in one.
    pub const AGGREGATE: u8 = 22;
}

/// Events of user control messages (RTMP 1.0, 7.1.7).
pub mod user {
    /// The stream ended.
    pub const STREAM_EOF: u16 = 1;
    /// The client's buffer, in milliseconds.
    pub const SET_BUFFER_LENGTH: u16 = 3;
    /// The server asks whether we are there.
    pub const PING: u16 = 6;
    /// We are.
    pub const PONG: u16 = 7;
}

/// The content of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// See [`kind::WINDOW_SIZE`].
    WindowSize(u32),
    /// An event of [`user`] and its value.
    User(u16, u32),
    /// Sound, with its tag header.
    Audio(Bytes),
    /// Pictures, with their tag header.
    Video(Bytes),
    /// A command or an answer to one.
    Command(Command),
    /// Data such as metadata: a name and values.
    Data(Vec<Value>),
    /// Several messages in one: see [`aggregate`].
    Aggregate(Bytes),
    /// Anything else: nothing for a player to act on.
    Other(u8),
}

/// A message that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// Its values are no AMF0.
    #[error(transparent)]
    Amf(#[from] AmfError),
    /// Too short, or without what its type promises.
    #[error("{0}")]
    Malformed(&'static str),
}

/// A command.
#[derive(Debug, Clone, PartialEq)]
pub struct Command {
    /// Its name; `_result` and `_error` are answers.
    pub name: String,
    /// Which command an answer is for; 0 for those that want none.
    pub transaction: f64,
    /// What follows.
    pub values: Vec<Value>,
}

/// What a status object says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// `status`, `warning` or `error`.
    pub level: String,
    /// Such as `NetStream.Play.Start`.
    pub code: String,
    /// Words for people; may be empty.
    pub description: String,
}

impl Message {
    /// A command on chunk stream 3.
    #[must_use]
    pub fn command(stream: u32, command: &Command) -> Self {
        let mut payload = BytesMut::new();
        let name = Value::Text(command.name.clone());
        encode_values(&[name, Value::Number(command.transaction)], &mut payload);
        encode_values(&command.values, &mut payload);
        Self { chunk_stream: 3, timestamp: 0, kind: kind::COMMAND, stream, payload: payload.freeze() }
    }

    /// A control message with one number, on chunk stream 2.
    #[must_use]
    pub fn control(kind: u8, value: u32) -> Self {
        let payload = Bytes::copy_from_slice(&value.to_be_bytes());
        Self { chunk_stream: 2, timestamp: 0, kind, stream: 0, payload }
    }

    /// A user control message, on chunk stream 2.
    #[must_use]
    pub fn user(event: u16, values: &[u32]) -> Self {
        let mut payload = BytesMut::new();
        payload.put_u16(event);
        values.iter().for_each(|value| payload.put_u32(*value));
        Self { chunk_stream: 2, timestamp: 0, kind: kind::USER_CONTROL, stream: 0, payload: payload.freeze() }
    }

    /// What the message holds.
    ///
    /// # Errors
    /// When it is too short for its type, or its values are no AMF0.
    pub fn content(&self) -> Result<Content, MessageError> {
        let mut body = self.payload.clone();
        Ok(match self.kind {
            kind::WINDOW_SIZE if body.len() >= 4 => Content::WindowSize(body.get_u32()),
            kind::USER_CONTROL if body.len() >= 6 => Content::User(body.get_u16(), body.get_u32()),
            kind::WINDOW_SIZE | kind::USER_CONTROL => {
                return Err(MessageError::Malformed("a control message is too short"));
            }
            kind::AUDIO => Content::Audio(body),
            kind::VIDEO => Content::Video(body),
            kind::COMMAND | kind::COMMAND_AMF3 => Content::Command(Command::parse(values(self)?)?),
            kind::DATA | kind::DATA_AMF3 => Content::Data(values(self)?),
            kind::AGGREGATE => Content::Aggregate(body),
            other => Content::Other(other),
        })
    }
}

/// The values of a command or data message.
fn values(message: &Message) -> Result<Vec<Value>, AmfError> {
    let amf3 = matches!(message.kind, kind::COMMAND_AMF3 | kind::DATA_AMF3);
    match &*message.payload {
        [0, rest @ ..] if amf3 => parse_values(rest),
        all => parse_values(all),
    }
}

impl Command {
    /// A command with its values.
    #[must_use]
    pub fn new(name: &str, transaction: f64, values: Vec<Value>) -> Self {
        Self { name: name.to_owned(), transaction, values }
    }

    fn parse(values: Vec<Value>) -> Result<Self, MessageError> {
        let mut values = values.into_iter();
        let Some(Value::Text(name)) = values.next() else {
            return Err(MessageError::Malformed("a command without a name"));
        };
        let Some(Value::Number(transaction)) = values.next() else {
            return Err(MessageError::Malformed("a command without a number"));
        };
        Ok(Self { name, transaction, values: values.collect() })
    }

    /// The status object, where there is one.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let object = self.values.iter().find(|value| value.get("code").is_some())?;
        let text = |name| object.get(name).and_then(Value::as_text).unwrap_or_default().to_owned();
        Some(Status { level: text("level"), code: text("code"), description: text("description") })
    }
}

/// The messages of an aggregate: tags as in an FLV file. Stops at the first that is cut short.
pub fn aggregate(payload: Bytes) -> impl Iterator<Item = Message> {
    /// Type, length, timestamp with its fourth octet, stream.
    const HEADER_BYTES: usize = 11;
    /// The length of the tag once more, behind it.
    const TRAILER_BYTES: usize = 4;
    let mut rest = payload;
    std::iter::from_fn(move || {
        if rest.len() < HEADER_BYTES {
            return None;
        }
        let kind = rest.get_u8();
        let length = usize::try_from(rest.get_uint(3)).ok()?;
        let low = u32::try_from(rest.get_uint(3)).ok()?;
        let timestamp = u32::from(rest.get_u8()) << 24 | low;
        let stream = u32::try_from(rest.get_uint(3)).ok()?;
        if rest.len() < length {
            rest.clear();
            return None;
        }
        let payload = rest.split_to(length);
        rest.advance(TRAILER_BYTES.min(rest.len()));
        Some(Message { chunk_stream: 0, timestamp, kind, stream, payload })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_there_and_back() {
        let command = Command::new("play", 4.0, vec![Value::Null, Value::from("cam")]);
        let message = Message::command(1, &command);
        assert_eq!(message.content(), Ok(Content::Command(command.clone())));
        let mut amf3 = BytesMut::from(&[0][..]);
        amf3.extend_from_slice(&message.payload);
        let odd = Message { kind: kind::COMMAND_AMF3, payload: amf3.freeze(), ..message };
        assert_eq!(odd.content(), Ok(Content::Command(command)));
    }

    #[test]
    fn the_status_is_found_wherever_it_stands() {
        let info = Value::Object(vec![("level".to_owned(), "error".into()), ("code".to_owned(), "X.Y".into())]);
        let status = Command::new("onStatus", 0.0, vec![Value::Null, info]).status();
        let expected = Status { level: "error".to_owned(), code: "X.Y".to_owned(), description: String::new() };
        assert_eq!(status, Some(expected));
        assert_eq!(Command::new("_result", 2.0, vec![Value::Null, Value::Number(1.0)]).status(), None);
    }

    #[test]
    fn control_messages() {
        assert_eq!(Message::control(kind::WINDOW_SIZE, 5).content(), Ok(Content::WindowSize(5)));
        assert_eq!(Message::user(user::PING, &[9]).content(), Ok(Content::User(6, 9)));
        let short = Message { payload: Bytes::from_static(b"\0"), ..Message::control(kind::WINDOW_SIZE, 5) };
        assert!(short.content().is_err());
        assert_eq!(Message { kind: 99, ..short }.content(), Ok(Content::Other(99)));
    }

    #[test]
    fn aggregates_come_apart() {
        let tag = b"\x09\0\0\x02\0\0\x0a\x01\0\0\0ab\0\0\0\x0d";
        let bytes = Bytes::from([tag.as_slice(), b"\x08\0\0\x09\0\0\0\0\0\0\0cut"].concat());
        let seen: Vec<_> = aggregate(bytes).map(|m| (m.kind, m.timestamp, m.payload)).collect();
        assert_eq!(seen, [(9, 0x0100_000a, Bytes::from_static(b"ab"))]);
    }
}
