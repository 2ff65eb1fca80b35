//! The log of a container as its engine sends it with timestamps: frames of both outputs (Docker Engine API, "Attach to a
//! container", section "Stream format"), or the bare output of a terminal. Owns cutting it into pieces of lines; knows no
//! connection and no file.

/// Longest text of one piece, in bytes. Engines cut at 16 KiB; what is longer comes in several pieces.
pub const MAX_PIECE_BYTES: usize = 64 * 1024;
/// Longest time that is looked for at the front of a line: RFC 3339 with nanoseconds and an offset has 35.
const MAX_STAMP_BYTES: usize = 40;
/// Bytes before each frame: the output, three zeros, a length.
const HEADER_BYTES: usize = 8;

/// A line of output, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// Whether it is of standard error; a terminal has one output only.
    pub stderr: bool,
    /// When the engine received it, as it wrote that (RFC 3339); `None` where it wrote nothing of the kind.
    pub stamp: Option<&'a str>,
    /// The text without its end of line; any bytes.
    pub text: &'a [u8],
    /// Whether its line ends here.
    pub whole: bool,
}

/// What came is no such log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {at} of the log begins no frame")]
pub struct Malformed {
    /// Where, from the beginning of the log.
    pub at: u64,
}

/// Cuts a log into pieces, however its bytes come.
pub struct Demux {
    framed: bool,
    at: u64,
    header: Vec<u8>,
    /// Bytes of this frame that have not come.
    left: usize,
    line: Line,
}

#[derive(Default)]
struct Line {
    stderr: bool,
    /// The time is known, or is not to be had.
    stamped: bool,
    stamp: String,
    text: Vec<u8>,
}

impl Demux {
    /// A log that begins. `terminal`: its container has a terminal, whose output is not framed.
    #[must_use]
    pub fn new(terminal: bool) -> Self {
        Self { framed: !terminal, at: 0, header: Vec::new(), left: 0, line: Line::default() }
    }

    /// Takes what came and hands on the pieces that are complete with it.
    ///
    /// # Errors
    /// The frames are none. What was handed on before is good; nothing more can be read.
    pub fn push(&mut self, mut bytes: &[u8], take: &mut dyn FnMut(Piece<'_>)) -> Result<(), Malformed> {
        if !self.framed {
            self.line.push(bytes, true, take);
            return Ok(());
        }
        while !bytes.is_empty() {
            if self.left == 0 {
                let (some, rest) = bytes.split_at(bytes.len().min(HEADER_BYTES - self.header.len()));
                self.header.extend_from_slice(some);
                bytes = rest;
                self.begin()?;
                continue;
            }
            let (some, rest) = bytes.split_at(bytes.len().min(self.left));
            self.line.push(some, false, take);
            self.at += some.len() as u64;
            self.left -= some.len();
            bytes = rest;
            if self.left == 0 {
                self.line.finish(take);
            }
        }
        Ok(())
    }

    /// Hands on what is left at the end of the log.
    pub fn finish(&mut self, take: &mut dyn FnMut(Piece<'_>)) {
        self.line.finish(take);
    }

    fn begin(&mut self) -> Result<(), Malformed> {
        let Ok([output, 0, 0, 0, length @ ..]) = <[u8; HEADER_BYTES]>::try_from(self.header.as_slice()) else {
            let wrong = self.header.len() == HEADER_BYTES;
            return if wrong { Err(Malformed { at: self.at }) } else { Ok(()) };
        };
        if output > 2 {
            return Err(Malformed { at: self.at });
        }
        self.at += HEADER_BYTES as u64;
        self.header.clear();
        self.left = u32::from_be_bytes(length) as usize;
        self.line.stderr = output == 2;
        Ok(())
    }
}

impl Line {
    /// `lines`: each line has a time of its own; otherwise they share that of their frame.
    fn push(&mut self, bytes: &[u8], lines: bool, take: &mut dyn FnMut(Piece<'_>)) {
        let mut rest = bytes;
        while let Some(&byte) = rest.first() {
            if !self.stamped {
                rest = &rest[1..];
                self.look_for_stamp(byte, lines, take);
                continue;
            }
            let room = rest.len().min(MAX_PIECE_BYTES - self.text.len());
            match rest[..room].iter().position(|b| *b == b'\n') {
                Some(end) => {
                    self.text.extend_from_slice(&rest[..end]);
                    rest = &rest[end + 1..];
                    self.ended(lines, take);
                }
                None => {
                    self.text.extend_from_slice(&rest[..room]);
                    rest = &rest[room..];
                    if self.text.len() == MAX_PIECE_BYTES {
                        self.tell(false, take);
                    }
                }
            }
        }
    }

    /// Collects the time in `text` until a space shows that it is one, or anything else that it is none.
    fn look_for_stamp(&mut self, byte: u8, lines: bool, take: &mut dyn FnMut(Piece<'_>)) {
        match byte {
            b' ' if is_stamp(&self.text) => {
                self.stamp = String::from_utf8_lossy(&self.text).into_owned();
                self.text.clear();
                self.stamped = true;
            }
            b'\n' => {
                self.stamped = true;
                self.ended(lines, take);
            }
            _ => {
                self.text.push(byte);
                self.stamped = byte == b' ' || self.text.len() > MAX_STAMP_BYTES;
            }
        }
    }

    fn ended(&mut self, lines: bool, take: &mut dyn FnMut(Piece<'_>)) {
        // A terminal ends its lines with both.
        if lines && self.text.last() == Some(&b'\r') {
            self.text.pop();
        }
        self.tell(true, take);
        if lines {
            self.forget();
        }
    }

    fn tell(&mut self, whole: bool, take: &mut dyn FnMut(Piece<'_>)) {
        let stamp = Some(self.stamp.as_str()).filter(|stamp| !stamp.is_empty());
        take(Piece { stderr: self.stderr, stamp, text: &self.text, whole });
        self.text.clear();
    }

    fn forget(&mut self) {
        self.stamped = false;
        self.stamp.clear();
    }

    fn finish(&mut self, take: &mut dyn FnMut(Piece<'_>)) {
        if !self.text.is_empty() {
            self.tell(false, take);
        }
        self.forget();
    }
}

/// Whether it looks like RFC 3339: `2026-11-20T19:01:21.273487066Z`.
fn is_stamp(text: &[u8]) -> bool {
    let good = |byte: &u8| byte.is_ascii_digit() || b"-:.TZ+".contains(byte);
    (20..=MAX_STAMP_BYTES).contains(&text.len()) && text[10] == b'T' && text.iter().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "2026-11-20T19:01:21.273487066Z";

    fn frame(output: u8, payload: &str) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("a short one").to_be_bytes();
        [&[output, 0, 0, 0], &length[..], payload.as_bytes()].concat()
    }

    /// Pieces as `O|E`, `+|-` (the line ends here, or not), `t|n` (with a time, or none) and the text.
    fn cut(terminal: bool, bytes: &[u8]) -> (Vec<String>, Result<(), Malformed>) {
        let mut pieces = Vec::new();
        let mut take = |p: Piece<'_>| {
            let (output, end) = (if p.stderr { 'E' } else { 'O' }, if p.whole { '+' } else { '-' });
            assert!(p.stamp.is_none_or(|stamp| stamp == STAMP), "{p:?}");
            let stamp = if p.stamp.is_some() { 't' } else { 'n' };
            pieces.push(format!("{output}{end}{stamp} {}", String::from_utf8_lossy(p.text)));
        };
        let mut demux = Demux::new(terminal);
        let result = demux.push(bytes, &mut take);
        demux.finish(&mut take);
        (pieces, result)
    }

    #[test]
    fn frames_become_lines_of_both_outputs() {
        for (name, frames, expected) in [
            (
                "lines",
                vec![frame(1, &format!("{STAMP} hi\n")), frame(2, &format!("{STAMP} err\n"))],
                &["O+t hi", "E+t err"][..],
            ),
            ("an empty line", vec![frame(1, &format!("{STAMP} \n"))], &["O+t "]),
            (
                "a long line in parts",
                vec![frame(1, &format!("{STAMP} one ")), frame(1, &format!("{STAMP} two\n"))],
                &["O-t one ", "O+t two"],
            ),
            ("two lines share a frame", vec![frame(2, &format!("{STAMP} a\nb\n"))], &["E+t a", "E+t b"]),
            ("no time", vec![frame(1, "plain words\n"), frame(1, "x\n"), frame(1, "")], &["O+n plain words", "O+n x"]),
            ("cut short", vec![frame(1, &format!("{STAMP} half"))[..40].to_vec()], &["O-t h"]),
        ] {
            let (pieces, result) = cut(false, &frames.concat());
            assert_eq!(
                (pieces.as_slice(), result),
                (&expected.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>()[..], Ok(())),
                "{name}"
            );
        }
    }

    #[test]
    fn a_terminal_has_lines_and_no_frames() {
        let text = format!("{STAMP} one\r\n{STAMP} \r\nno time\n{STAMP} rest");
        assert_eq!(cut(true, text.as_bytes()).0, ["O+t one", "O+t ", "O+n no time", "O-t rest"]);
    }

    #[test]
    fn hostile_frames_are_refused_or_bounded() {
        let good = frame(1, &format!("{STAMP} hi\n"));
        let at = good.len() as u64;
        assert_eq!(
            cut(false, &[&good[..], b"HTTP/1.1 500"].concat()),
            (vec!["O+t hi".to_owned()], Err(Malformed { at }))
        );
        assert_eq!(cut(false, &[3, 0, 0, 0, 0, 0, 0, 1, 7]).1, Err(Malformed { at: 0 }));
        // The length says 4 GiB: pieces come as the bytes do.
        let endless = [&[1, 0, 0, 0, 255, 255, 255, 255][..], &vec![b'x'; 3 * MAX_PIECE_BYTES]].concat();
        let (pieces, result) = cut(false, &endless);
        assert_eq!((pieces.len(), result), (3, Ok(())));
        assert!(pieces.iter().all(|piece| piece.len() == MAX_PIECE_BYTES + 4));
    }
}
