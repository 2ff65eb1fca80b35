//! Where a quoted scalar and a flow collection end. The parser's own marks reach over white space and comments behind them,
//! or stop short of the bracket.

/// Behind the closing quotation mark of the scalar that begins at byte `start`, which may be its anchor.
#[must_use]
pub fn quoted(text: &str, start: usize) -> Option<usize> {
    let start = content(text, start);
    let quote = text[start..].chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let mut rest = text[start + 1..].char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        if c == '\\' && quote == '"' {
            rest.next();
        } else if c == quote {
            if quote == '\'' && rest.peek().is_some_and(|(_, next)| *next == '\'') {
                rest.next();
            } else {
                return Some(start + 1 + at + 1);
            }
        }
    }
    None
}

/// Behind the closing bracket of the collection that begins at `start`, which may be its anchor, and whose last child
/// ends at `last`.
pub(super) fn flow(text: &str, start: usize, last: Option<usize>) -> Option<usize> {
    let from = last.unwrap_or(content(text, start) + 1);
    let mut in_comment = false;
    for (at, c) in text.get(from..)?.char_indices() {
        match c {
            '\n' | '\r' => in_comment = false,
            _ if in_comment => {}
            '#' => in_comment = true,
            ']' | '}' => return Some(from + at + 1),
            // A trailing comma, or the colon of a last key without a value.
            ',' | ':' => {}
            c if c.is_whitespace() => {}
            _ => return None,
        }
    }
    None
}

/// Behind the anchor and the tag at byte `start`, when there are any.
#[must_use]
pub fn content(text: &str, start: usize) -> usize {
    let mut at = start;
    while text[at..].starts_with(['&', '!']) {
        let word = text[at..].find(char::is_whitespace).unwrap_or(text.len() - at);
        let space = text[at + word..].find(|c: char| !c.is_whitespace()).unwrap_or(text.len() - at - word);
        at += word + space;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_scalars_end_at_their_mark() {
        for (text, end) in [
            ("'a' # c", 3),
            ("'it''s' x", 7),
            (r#""a\"b" # c"#, 6),
            ("&x  'a', b", 7),
            ("'ä\n b'", 7),
            ("''", 2),
            (r#""\\" "#, 4),
        ] {
            assert_eq!(quoted(text, 0), Some(end), "{text}");
        }
        assert_eq!(quoted("plain", 0), None);
        assert_eq!(quoted("'open", 0), None);
    }

    #[test]
    fn collections_end_at_their_bracket() {
        for (text, last, end) in [
            ("[] # ]", None, 2),
            ("&x [ ] ", None, 6),
            ("[a , ] # c", Some(2), 6),
            ("{a: b # }\n}", Some(5), 11),
            ("{a: }", Some(3), 5),
        ] {
            assert_eq!(flow(text, 0, last), Some(end), "{text}");
        }
    }
}
