//! `{key}` within arguments: finding the names, and putting values in. `{{` and `}}` are braces. Pure.

/// A piece of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// As it stands.
    Literal(String),
    /// The value of this key.
    Key(String),
}

/// Cuts an argument at its keys.
///
/// # Errors
/// A sentence about a brace that has no partner.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece>, String> {
    let mut found = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
        } else if brace == "}" {
            return Err(format!("a }} without its {{ in {text:?}: write }}}} for a brace"));
        } else {
            let end =
                after.find('}').ok_or_else(|| format!("a {{ without its }} in {text:?}: write {{{{ for a brace"))?;
            if !literal.is_empty() {
                found.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            found.push(Piece::Key(after[..end].to_owned()));
            rest = &after[end + 1..];
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() || found.is_empty() {
        found.push(Piece::Literal(literal));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_and_braces_are_braces() {
        let cut = |text: &str| {
            pieces(text).map(|all| {
                let show = |piece: &Piece| match piece {
                    Piece::Literal(text) => text.clone(),
                    Piece::Key(name) => format!("<{name}>"),
                };
                all.iter().map(show).collect::<Vec<_>>().join("|")
            })
        };
        for (text, wanted) in [
            ("a", "a"),
            ("", ""),
            ("{a}", "<a>"),
            ("--x={a}:{b}", "--x=|<a>|:|<b>"),
            ("{{a}}", "{a}"),
            ("{{{a}}}", "{|<a>|}"),
        ] {
            assert_eq!(cut(text).as_deref(), Ok(wanted), "{text}");
        }
        for text in ["{", "}", "a{b", "a}b"] {
            assert!(cut(text).is_err(), "{text}");
        }
    }
}
