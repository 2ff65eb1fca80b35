//! Every limit of the decoders: at it things work, beyond it they are refused with the limit's own error, and a
//! connection that dribbles is refused as early as one that does not.

use bytes::BytesMut;
use wire::multipart::{self, MultipartError};
use wire::rtsp::{DecodeError, Decoder, MAX_BODY_BYTES, MAX_HEADER_BYTES, MAX_HEADERS, Message};

/// Feeds pieces of this length until a message or an error; returns it with the bytes it took to decide.
fn rtsp(bytes: &[u8], piece: usize) -> (Result<Option<Message>, DecodeError>, usize) {
    let (mut decoder, mut buffer, mut given) = (Decoder::new(), BytesMut::new(), 0);
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        given += piece.len();
        match decoder.decode(&mut buffer) {
            Ok(None) => {}
            decided => return (decided, given),
        }
    }
    (Ok(None), given)
}

fn check_rtsp(bytes: &[u8], expected: Result<u16, &str>) {
    for piece in [1, 7, 4_096, usize::MAX] {
        let (decided, _) = rtsp(bytes, piece.min(bytes.len()));
        let seen = match decided {
            Ok(Some(Message::Response(response))) => Ok(response.status),
            Ok(other) => Err(format!("{other:?}")),
            Err(error) => Err(error.to_string()),
        };
        assert_eq!(seen, expected.map_err(str::to_owned), "in pieces of {piece}");
    }
}

/// A response of exactly this many bytes of head.
fn head_of(bytes: usize) -> Vec<u8> {
    let mut head = b"RTSP/1.0 200 OK\r\nX: ".to_vec();
    head.resize(bytes - 4, b'x');
    head.extend_from_slice(b"\r\n\r\n");
    head
}

#[test]
fn rtsp_header_bytes() {
    check_rtsp(&head_of(MAX_HEADER_BYTES), Ok(200));
    check_rtsp(&head_of(MAX_HEADER_BYTES + 1), Err("header longer than 16384 in the message at byte 0"));
}

#[test]
fn rtsp_endless_header_is_refused_in_time() {
    let endless = b"RTSP/1.0 200 OK\r\n".iter().copied().chain(std::iter::repeat_n(b'a', 1 << 20)).collect::<Vec<_>>();
    let (decided, given) = rtsp(&endless, 100);
    assert!(matches!(decided, Err(DecodeError::TooLarge { what: "header", .. })), "{decided:?}");
    assert!(given <= MAX_HEADER_BYTES + 100, "{given}");
}

#[test]
fn rtsp_number_of_fields() {
    let fields = |count: usize| format!("RTSP/1.0 200 OK\r\n{}\r\n", "a: b\r\n".repeat(count)).into_bytes();
    check_rtsp(&fields(MAX_HEADERS), Ok(200));
    check_rtsp(&fields(MAX_HEADERS + 1), Err("number of header fields longer than 128 in the message at byte 0"));
}

#[test]
fn rtsp_body_bytes() {
    let body = |count: usize| {
        let mut bytes = format!("RTSP/1.0 200 OK\r\nContent-Length: {count}\r\n\r\n").into_bytes();
        bytes.resize(bytes.len() + count.min(MAX_BODY_BYTES), b'v');
        bytes
    };
    check_rtsp(&body(MAX_BODY_BYTES), Ok(200));
    check_rtsp(&body(MAX_BODY_BYTES + 1), Err("body longer than 262144 in the message at byte 0"));
}

#[test]
fn rtsp_blank_lines_and_garbage() {
    check_rtsp(&b"\r\n".repeat(10_000), Err("nothing but blank lines at byte 0, line 1 of the message"));
    let (decided, given) = rtsp(b"\x80\x60\x00\x01", 1);
    assert!(matches!(decided, Err(DecodeError::Malformed { .. })));
    assert_eq!(given, 1);
    let (decided, given) = rtsp(b"HTTP/1.0 200 OK\r\n", 1);
    assert!(matches!(decided, Err(DecodeError::Foreign { protocol: "HTTP", .. })));
    assert_eq!(given, 5);
}

/// The offset in an error counts from the beginning of the connection.
#[test]
fn rtsp_errors_locate() {
    let bytes = b"RTSP/1.0 200 OK\r\n\r\n$\x00\x00\x01aRTSP/1.0 200 OK\r\nA: b\r\nB C: d\r\n\r\n";
    let (mut decoder, mut buffer) = (Decoder::new(), BytesMut::from(&bytes[..]));
    assert!(decoder.decode(&mut buffer).is_ok_and(|message| message.is_some()));
    assert!(decoder.decode(&mut buffer).is_ok_and(|message| message.is_some()));
    assert_eq!(decoder.offset(), 24);
    let what = "header field without a proper name";
    assert_eq!(decoder.decode(&mut buffer), Err(DecodeError::Malformed { what, offset: 24 + 17 + 6, line: 3 }));
}

/// A packet is a slice of the buffer it came in: nothing is copied.
#[test]
fn rtsp_interleaved_is_not_copied() {
    let mut buffer = BytesMut::from(&b"$\x02\x00\x05hello$"[..]);
    let begin = buffer.as_ptr() as usize;
    let Ok(Some(Message::Interleaved { channel: 2, payload })) = Decoder::new().decode(&mut buffer) else {
        panic!("a whole packet was there");
    };
    assert_eq!((&payload[..], payload.as_ptr() as usize), (&b"hello"[..], begin + 4));
}

fn multipart(bytes: &[u8], piece: usize) -> Result<Vec<usize>, MultipartError> {
    let mut parser = multipart::Parser::from_content_type("multipart/x-mixed-replace; boundary=b")?;
    let (mut buffer, mut parts) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        buffer.extend_from_slice(piece);
        while let Some(part) = parser.decode(&mut buffer)? {
            parts.push(part.body.len());
        }
    }
    Ok(parts)
}

fn check_multipart(bytes: &[u8], expected: Result<Vec<usize>, &str>) {
    for piece in [61, 65_536, bytes.len()] {
        let seen = multipart(bytes, piece).map_err(|error| error.to_string());
        assert_eq!(seen, expected.clone().map_err(str::to_owned), "in pieces of {piece}");
    }
}

#[test]
fn multipart_limits() {
    let sized = |count: usize| format!("--b\r\nContent-Length: {count}\r\n\r\n").into_bytes();
    check_multipart(
        &sized(multipart::MAX_PART_BYTES + 1),
        Err("content of a part longer than 8388608 in the part at byte 32"),
    );
    let open = |count: usize| [&b"--b\r\n\r\n"[..], &vec![b'x'; count], b"\r\n--b\r\n"].concat();
    check_multipart(&open(multipart::MAX_PART_BYTES), Ok(vec![multipart::MAX_PART_BYTES]));
    check_multipart(
        &open(multipart::MAX_PART_BYTES + 1_000),
        Err("content of a part longer than 8388608 in the part at byte 7"),
    );
    let long_head = [&b"--b\r\nX: "[..], &[b'x'; multipart::MAX_PART_HEADER_BYTES]].concat();
    check_multipart(&long_head, Err("header of a part longer than 8192 in the part at byte 5"));
    let fields = [&b"--b\r\n"[..], &b"a: b\r\n".repeat(65), b"\r\n"].concat();
    check_multipart(&fields, Err("number of fields of a part longer than 64 in the part at byte 5"));
    let late = [&b"no delimiter\n".repeat(10_000)[..], b"--b\r\n\r\nx\r\n--b\r\n"].concat();
    check_multipart(&late, Err("no boundary in 65536 bytes from byte 0"));
    check_multipart(&b"no delimiter\n".repeat(10_000), Err("no boundary in 65536 bytes from byte 0"));
}
