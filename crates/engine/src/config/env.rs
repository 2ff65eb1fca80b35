//! `${NAME}` and `${NAME:-default}` in values, put in after parsing, so that no value can change the structure. What comes
//! from the environment is a secret for messages: problems show the text of the file in its place.

use std::fmt::Write as _;

use model::conf::{Place, Problem};

use super::Env;
use super::tree::{Body, Item, Style};

/// Shortest value that is masked in messages about other places: masking single letters everywhere would only garble them.
const LEAST_MASKED_BYTES: usize = 4;

/// A value that came from the environment.
struct Filled {
    place: Place,
    /// As written in the file.
    raw: String,
    /// With the variables put in.
    value: String,
    /// The variables' values, also as they stand in the value.
    parts: Vec<String>,
}

/// What was put in where.
#[derive(Default)]
pub(super) struct Expansion {
    filled: Vec<Filled>,
    /// Values that could not be made; what else is wrong with them follows from that.
    broken: Vec<Place>,
    problems: Vec<Problem>,
}

/// Puts the environment into every value of the tree.
pub(super) fn expand(root: &mut Item, env: Env<'_>) -> Expansion {
    let mut done = Expansion::default();
    walk(root, env, "", &mut done);
    done
}

fn walk(item: &mut Item, env: Env<'_>, path: &str, done: &mut Expansion) {
    let place = item.place;
    match &mut item.body {
        Body::Scalar { text, style } if text.contains('$') => match pieces(text, env) {
            Ok(mut pieces) => {
                let mut parts = values(&pieces);
                if is_url(path) {
                    encode_userinfo(&mut pieces);
                    parts.extend(values(&pieces));
                }
                let value: String = pieces.iter().map(|piece| piece.text.as_str()).collect();
                if !parts.is_empty() {
                    done.filled.push(Filled { place, raw: text.clone(), value: value.clone(), parts });
                }
                if *style == Style::Quoted && pieces.iter().any(|piece| piece.from != From::File) {
                    *style = Style::Filled;
                }
                *text = value;
            }
            Err((message, remedy)) => {
                done.problems.push(Problem::new(Some(place), path, message).with_remedy(remedy));
                done.broken.push(place);
            }
        },
        Body::Scalar { .. } => {}
        Body::List { items, .. } => {
            for (i, item) in items.iter_mut().enumerate() {
                walk(item, env, &format!("{path}[{i}]"), done);
            }
        }
        Body::Map { entries, .. } => {
            for entry in entries {
                let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                walk(&mut entry.value, env, &path, done);
            }
        }
    }
}

/// Whether a path is that of the URL of a target.
fn is_url(path: &str) -> bool {
    let number = path.strip_prefix("targets[").and_then(|rest| rest.strip_suffix("].url"));
    number.is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
}

/// A piece of a value.
struct Piece {
    text: String,
    from: From,
}

/// Where a piece comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    /// The file, as written there.
    File,
    /// The default of a variable, which the file holds too.
    Default,
    /// The environment.
    Environment,
}

/// What came from the environment.
fn values(pieces: &[Piece]) -> Vec<String> {
    pieces.iter().filter(|piece| piece.from == From::Environment).map(|piece| piece.text.clone()).collect()
}

/// The text cut at its variables, with their values; or a message and a remedy.
fn pieces(text: &str, env: Env<'_>) -> Result<Vec<Piece>, (String, String)> {
    let mut pieces = Vec::new();
    let mut put = |text: &str, from| pieces.push(Piece { text: text.to_owned(), from });
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        put(&rest[..at], From::File);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            put("$", From::File);
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            const FORM: &str = "write ${NAME} or ${NAME:-default}, and $$ for a dollar sign";
            let end = inner.find('}').ok_or(("a ${ without its }".to_owned(), FORM.to_owned()))?;
            let (name, default) = match inner[..end].split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (&inner[..end], None),
            };
            if !is_name(name) {
                return Err(("what stands in ${} is no name of an environment variable".to_owned(), FORM.to_owned()));
            }
            match (env(name).filter(|v| default.is_none() || !v.is_empty()), default) {
                (Some(value), _) => put(&value, From::Environment),
                (None, Some(default)) => put(default, From::Default),
                (None, None) => {
                    let remedy = format!("set it, or write ${{{name}:-default}}");
                    return Err((format!("the environment variable {name} is not set"), remedy));
                }
            }
            rest = &inner[end + 1..];
        } else {
            put("$", From::File);
            rest = after;
        }
    }
    put(rest, From::File);
    Ok(pieces)
}

/// Writes the variables between `://` and `@` of a URL as codes (RFC 3986, section 2.1), so that a password is a password
/// whatever it holds. Only the file's own signs say where user name and password are: a variable that holds a whole URL is
/// taken as it is. Where the file has no colon between the two, the first one of a variable is it (`${USER_AND_PASSWORD}`).
fn encode_userinfo(pieces: &mut [Piece]) {
    let own = |piece: &Piece| piece.from == From::File;
    let Some(scheme) = pieces.iter().position(|piece| own(piece) && piece.text.contains("://")) else { return };
    // The authority ends with the first of these signs after the two slashes, and its userinfo with the last @ in it.
    let mut at_sign = None;
    let mut colon = false;
    for (i, piece) in pieces.iter().enumerate().skip(scheme).filter(|(_, piece)| own(piece)) {
        let text = if i == scheme { piece.text.split_once("://").map_or("", |(_, rest)| rest) } else { &piece.text };
        let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
        if let Some(at) = authority.rfind('@') {
            at_sign = Some(i);
            colon |= authority[..at].contains(':');
        } else {
            colon |= at_sign.is_none() && authority.contains(':');
        }
        if authority.len() < text.len() {
            break;
        }
    }
    let Some(end) = at_sign else { return };
    for piece in pieces[scheme..end].iter_mut().filter(|piece| piece.from != From::File) {
        piece.text = match piece.text.split_once(':').filter(|_| !colon) {
            Some((user, password)) => format!("{}:{}", encode(user), encode(password)),
            None => encode(&piece.text),
        };
        colon |= piece.text.contains(':');
    }
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

impl Expansion {
    /// Problems of the loader without what follows from a missing variable; neither they nor the warnings keep a value of
    /// the environment.
    pub(super) fn clean(mut self, problems: Vec<Problem>, warnings: &mut [Problem]) -> Vec<Problem> {
        let mut all = std::mem::take(&mut self.problems);
        all.extend(problems.into_iter().filter(|p| !p.place.is_some_and(|at| self.broken.contains(&at))));
        all.iter_mut().chain(warnings).for_each(|problem| self.hide(problem));
        all
    }

    fn hide(&self, problem: &mut Problem) {
        let texts = std::iter::once(&mut problem.message).chain(problem.remedy.as_mut());
        for text in texts {
            for filled in &self.filled {
                if Some(filled.place) == problem.place && !filled.value.is_empty() {
                    *text = text.replace(&format!("{:?}", filled.value), &format!("{:?}", filled.raw));
                    *text = text.replace(&filled.value, &filled.raw);
                }
                for part in filled.parts.iter().filter(|p| p.len() >= LEAST_MASKED_BYTES) {
                    *text = text.replace(part.as_str(), model::secret::MASK);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "A" => Some("one".to_owned()),
            "EMPTY" => Some(String::new()),
            "HARD" => Some("p#a/s?s@w:o%rd".to_owned()),
            "BOTH" => Some("u:a@b:c".to_owned()),
            "URL" => Some("rtsp://u:p@h/".to_owned()),
            "TRICK" => Some("x\ny: ${A} # z".to_owned()),
            _ => None,
        }
    }

    fn joined(text: &str, url: bool) -> String {
        let Ok(mut pieces) = pieces(text, &env) else { panic!("{text}") };
        if url {
            encode_userinfo(&mut pieces);
        }
        pieces.into_iter().map(|piece| piece.text).collect()
    }

    #[test]
    fn variables_between_the_slashes_and_the_at_sign_are_encoded() {
        const HARD: &str = "p%23a%2Fs%3Fs%40w%3Ao%25rd";
        for (text, value) in [
            ("rtsp://u:${HARD}@h:554/s", format!("rtsp://u:{HARD}@h:554/s")),
            ("rtsp://${HARD}:${HARD}@h/", format!("rtsp://{HARD}:{HARD}@h/")),
            ("rtsp://u:x${HARD}y@h/", format!("rtsp://u:x{HARD}y@h/")),
            ("rtsp://u:a@${HARD}@h/", format!("rtsp://u:a@{HARD}@h/")),
            ("${S:-rtsp}://u:${HARD}@${H:-h}:554/", format!("rtsp://u:{HARD}@h:554/")),
            ("rtsp://u:${D:-a/b}@h/", "rtsp://u:a%2Fb@h/".to_owned()),
            ("rtsp://${BOTH}@h/", "rtsp://u:a%40b%3Ac@h/".to_owned()),
            ("rtsp://u:p@h/${HARD}@x", "rtsp://u:p@h/p#a/s?s@w:o%rd@x".to_owned()),
            ("rtsp://h/?k=${HARD}@x", "rtsp://h/?k=p#a/s?s@w:o%rd@x".to_owned()),
            ("rtsp://h/${HARD}", "rtsp://h/p#a/s?s@w:o%rd".to_owned()),
            ("rtsp://${A}:554/", "rtsp://one:554/".to_owned()),
            ("${URL}", "rtsp://u:p@h/".to_owned()),
            ("${URL}a@b", "rtsp://u:p@h/a@b".to_owned()),
        ] {
            assert_eq!(joined(text, true), value, "{text}");
        }
    }

    #[test]
    fn variables_are_put_in() {
        for (text, value) in [
            ("${A}", "one"),
            ("<${A}-${A}>", "<one-one>"),
            ("${B:-two}", "two"),
            ("${EMPTY:-two}", "two"),
            ("[${EMPTY}]", "[]"),
            ("${B:-}", ""),
            ("${A:-two}", "one"),
            ("$$", "$"),
            ("$${A}", "${A}"),
            ("pa$word $", "pa$word $"),
            ("${TRICK}", "x\ny: ${A} # z"),
        ] {
            assert_eq!(joined(text, false), value, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_put_in_is_told() {
        for (text, words) in [
            ("${B}", "B is not set"),
            ("${A", "without its }"),
            ("${}", "no name"),
            ("${A-x}", "no name"),
            ("${1}", "no name"),
        ] {
            let Err((message, _)) = pieces(text, &env) else { panic!("{text}") };
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
