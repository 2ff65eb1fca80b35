//! `${NAME}` and `${NAME:-default}` in values, put in after parsing, so that no value can change the structure. What comes
//! from the environment is a secret for messages: problems show the text of the file in its place.

use model::conf::{Place, Problem};

use super::Env;
use super::tree::{Body, Item};

/// Shortest value that is masked in messages about other places: masking single letters everywhere would only garble them.
const LEAST_MASKED_BYTES: usize = 4;

/// A value that came from the environment.
struct Filled {
    place: Place,
    /// As written in the file.
    raw: String,
    /// With the variables put in.
    value: String,
    /// The variables' values.
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
        Body::Scalar { text, .. } if text.contains('$') => match fill(text, env) {
            Ok((value, parts)) => {
                if !parts.is_empty() {
                    done.filled.push(Filled { place, raw: text.clone(), value: value.clone(), parts });
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

/// The text with its variables' values, and these values; or a message and a remedy.
fn fill(text: &str, env: Env<'_>) -> Result<(String, Vec<String>), (String, String)> {
    let (mut out, mut parts) = (String::with_capacity(text.len()), Vec::new());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
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
                (Some(value), _) => {
                    out.push_str(&value);
                    parts.push(value);
                }
                (None, Some(default)) => out.push_str(default),
                (None, None) => {
                    let remedy = format!("set it, or write ${{{name}:-default}}");
                    return Err((format!("the environment variable {name} is not set"), remedy));
                }
            }
            rest = &inner[end + 1..];
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok((out, parts))
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
            "TRICK" => Some("x\ny: ${A} # z".to_owned()),
            _ => None,
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
            assert_eq!(fill(text, &env).expect(text).0, value, "{text}");
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
            let (message, _) = fill(text, &env).expect_err(text);
            assert!(message.contains(words), "{text}: {message}");
        }
    }
}
