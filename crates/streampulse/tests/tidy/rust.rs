//! Just enough of a Rust lexer: which bytes are code, where functions begin and end, which lines only tests compile.
//! Knows comments, strings, raw strings and characters; knows no grammar beyond matching brackets.

/// The text with the inside of comments and literals replaced by blanks. Line breaks stay, so line numbers hold.
pub(crate) fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match skip(bytes, at) {
            Some(end) => end,
            None => {
                at += 1;
                continue;
            }
        };
        for byte in &mut out[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(out).expect("literals and comments are blanked whole, so no character is cut")
}

/// Where the comment or literal that begins at `at` ends; `None` when none begins there.
fn skip(bytes: &[u8], at: usize) -> Option<usize> {
    let rest = &bytes[at..];
    let inside_word = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return Some(at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()));
    }
    if rest.starts_with(b"/*") {
        return Some(at + block_comment(rest));
    }
    if rest[0] == b'"' {
        return Some(at + quoted(rest, b'"'));
    }
    if rest[0] == b'\'' {
        return character(rest).map(|length| at + length);
    }
    if inside_word {
        return None;
    }
    raw_string(rest).map(|length| at + length)
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// `'x'` and `'\n'` are characters, `'a` without a closing quote is a lifetime.
fn character(rest: &[u8]) -> Option<usize> {
    if rest.get(1) == Some(&b'\\') {
        return Some(quoted(rest, b'\''));
    }
    let width = std::str::from_utf8(&rest[1..rest.len().min(5)])
        .or_else(|error| std::str::from_utf8(&rest[1..1 + error.valid_up_to()]))
        .ok()?
        .chars()
        .next()?
        .len_utf8();
    (rest.get(1 + width) == Some(&b'\'')).then_some(width + 2)
}

/// `r"..."`, `r#"..."#`, with `b` or `c` in front.
fn raw_string(rest: &[u8]) -> Option<usize> {
    let mut at = usize::from(matches!(rest[0], b'b' | b'c'));
    if rest.get(at) != Some(&b'r') {
        return None;
    }
    at += 1;
    let hashes = rest[at..].iter().take_while(|byte| **byte == b'#').count();
    at += hashes;
    if rest.get(at) != Some(&b'"') {
        return None;
    }
    let mut end = vec![b'"'];
    end.resize(1 + hashes, b'#');
    let found = rest[at + 1..].windows(end.len()).position(|window| window == end);
    Some(found.map_or(rest.len(), |position| at + 1 + position + end.len()))
}

/// A function with a body: its name, its first line (from 1) and how many lines it takes.
#[derive(Debug, PartialEq)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) length: usize,
}

/// All functions with bodies, in the order in which they begin. Wants the output of [`code_only`].
pub(crate) fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = at.checked_sub(1).map_or(b' ', |index| bytes[index]);
        if before.is_ascii_alphanumeric() || before == b'_' {
            continue;
        }
        let name: String =
            code[at + 3..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() {
            continue; // a function pointer type, or a macro's own variable
        }
        if let Some(end) = body(bytes, at).and_then(|open| closing(bytes, open)) {
            let line = code[..at].matches('\n').count() + 1;
            found.push(Function { name, line, length: code[at..end].matches('\n').count() + 1 });
        }
    }
    found
}

/// Where the body's opening brace stands; `None` for a declaration that ends with a semicolon.
fn body(bytes: &[u8], from: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in bytes.iter().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth -= 1,
            b'{' if depth == 0 => return Some(at),
            b';' if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// The position just after the brace that closes the one at `open`.
fn closing(bytes: &[u8], open: usize) -> Option<usize> {
    let mut depth = 0_i32;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// The code with everything under `#[cfg(test)]` or `#[test]` blanked. Wants the output of [`code_only`].
pub(crate) fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for mark in ["#[cfg(test)]", "#[test]"] {
        for (at, _) in code.match_indices(mark) {
            let end = body(code.as_bytes(), at + mark.len()).and_then(|open| closing(code.as_bytes(), open));
            for byte in &mut out[at..end.unwrap_or(at)] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
        }
    }
    String::from_utf8(out).expect("whole items are blanked, so no character is cut")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_comments_are_not_code() {
        let cases = [
            ("let a = \"{ fn x \\\" {\"; b", "let a = ; b"),
            ("let a = r#\"{\"{\"#; b", "let a = ; b"),
            ("let a = br\"{\"; b", "let a = ; b"),
            ("let a = '{'; let b = '\\''; c", "let a = ; let b = ; c"),
            ("let a = 'ü'; b", "let a = ; b"),
            ("fn f<'a>(x: &'a str) {}", "fn f<'a>(x: &'a str) {}"),
            ("a // { \" '\nb", "a \nb"),
            ("a /* { /* } */ { */ b", "a  b"),
            ("var\"x\"", "var"),
        ];
        for (text, expected) in cases {
            let squeeze = |text: &str| {
                text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ").replace(" ;", ";")
            };
            assert_eq!(squeeze(&code_only(text)), squeeze(expected), "{text}");
            assert_eq!(code_only(text).len(), text.len());
        }
    }

    #[test]
    fn functions_are_measured() {
        let text = "trait T { fn declared(&self) -> [u8; 2]; }\nfn one() { if x { \"}\" } }\n\nfn two<F: Fn(u8)>(f: F)\nwhere F: Copy,\n{\n  let p: fn(u8);\n}\n";
        let found = functions(&code_only(text));
        let short: Vec<_> = found.iter().map(|f| (f.name.as_str(), f.line, f.length)).collect();
        assert_eq!(short, [("one", 2, 1), ("two", 4, 5)]);
    }

    #[test]
    fn test_code_is_found() {
        let code =
            "fn a() { x }\n#[cfg(test)]\nmod tests {\n fn b() { y }\n}\n#[cfg(test)]\nmod other;\nfn c() { z }\n";
        let left = without_tests(code);
        assert!(left.contains("x }") && left.contains("z }"), "{left}");
        assert!(!left.contains('y'), "{left}");
        assert_eq!(left.matches('\n').count(), code.matches('\n').count());
    }
}
