//! The configuration as people without full rights may see it: secrets masked.

use model::conf::Value;
use model::secret::MASK;
use model::target::TargetId;

use super::tree::{Body, Item, Style};
use super::{Env, Form, Overrides, legacy, load, mask, parse};

/// The text with every secret replaced by `***`: passwords and telling parameters of URLs, values of secret keys, and what
/// looks like either inside of comments or in a file that cannot be parsed. Never fails; rather masks too much.
#[must_use]
pub fn masked_text(text: &str) -> String {
    let tree = parse::parse(text);
    let mut ranges = Vec::new();
    if let Ok(Some(root)) = &tree {
        collect(root, false, &mut ranges);
    }
    ranges.sort_unstable_by_key(|(r, _): &(std::ops::Range<usize>, bool)| (r.start, r.end));
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (range, block) in ranges {
        if range.start >= from && range.end >= range.start {
            out.push_str(&text[from..range.start]);
            // A bare mask would be an alias in YAML; behind | it is text.
            out.push_str(&if block { MASK.to_owned() } else { format!("'{MASK}'") });
            from = range.end;
        }
    }
    out.push_str(&text[from..]);
    let broken = tree.is_err();
    let mut below = None;
    out.split_inclusive('\n').map(|line| masked_line(line, broken, &mut below)).collect()
}

/// Ranges of the values of secret keys, and whether each is a block scalar.
fn collect(item: &Item, secret: bool, ranges: &mut Vec<(std::ops::Range<usize>, bool)>) {
    if item.alias {
        return;
    }
    match &item.body {
        Body::Scalar { style, .. } if secret && !item.is_null() => {
            ranges.push((item.start..item.end, *style == Style::Block));
        }
        Body::Scalar { .. } => {}
        Body::List { items, .. } => items.iter().for_each(|i| collect(i, secret, ranges)),
        Body::Map { .. } => {
            for entry in item.entries() {
                let secret = secret || mask::is_secret_key(&entry.key) || mask::map_of_secrets(&entry.key);
                collect(&entry.value, secret, ranges);
            }
        }
    }
}

/// Masks what the tree does not reach: URLs anywhere, `key: value` in comments, and everything that looks like it in a
/// broken file. `below` is the indentation of a secret key whose value stands in the lines below it.
fn masked_line(line: &str, broken: bool, below: &mut Option<usize>) -> String {
    let content = line.trim_end_matches(['\r', '\n']);
    let indent = content.len() - content.trim_start_matches([' ', '\t', '#']).len();
    let end = &line[content.len()..];
    if broken && !content.trim().is_empty() {
        if below.is_some_and(|key| indent > key) {
            return format!("{}{MASK}{end}", &content[..indent]);
        }
        *below = None;
    }
    let mut out = masked_urls(content);
    let from = if broken { Some(0) } else { out.find('#') };
    if let Some(at) = from.and_then(|from| secret_value(&out, from)) {
        if broken && matches!(out[at..].trim().chars().next(), None | Some('|' | '>')) {
            *below = Some(indent);
        } else if !out[at..].contains(MASK) {
            out.truncate(at);
            out.push_str(&format!(" '{MASK}'"));
        }
    }
    out.push_str(end);
    out
}

/// Behind the colon of the first secret key from `from` on.
fn secret_value(line: &str, from: usize) -> Option<usize> {
    line[from..].match_indices(':').map(|(at, _)| from + at).find_map(|colon| {
        let before = line[..colon].trim_end_matches([' ', '\t', '"', '\'']);
        let word = before
            .rfind(|c: char| !c.is_alphanumeric() && c != '_' && c != '-')
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let key = &before[word..];
        let behind = line[colon + 1..].chars().next();
        let is_key = behind.is_none_or(char::is_whitespace) && !key.is_empty();
        (is_key && (mask::is_secret_key(key) || mask::map_of_secrets(key))).then_some(colon + 1)
    })
}

/// A URL ends at white space or a quotation mark; its password may hold anything else.
fn masked_urls(line: &str) -> String {
    let is_end = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
    line.split_inclusive(is_end).map(mask::url).collect()
}

/// The keys that the section of a target itself holds, in the order of the file, secrets masked; `None` when there is no
/// such target or the text has problems.
#[must_use]
pub fn target_fields(text: &str, id: &TargetId, env: Env<'_>) -> Option<Vec<(String, Value)>> {
    let overrides = Overrides { demo: true, ..Overrides::default() };
    let config = load(text, env, &overrides).ok()?;
    let root = parse::parse(text).ok()??;
    let at = config.targets.iter().position(|t| t.id == *id)?;
    let item = match config.form {
        Form::Current => root.get("targets")?.items().get(at)?,
        Form::Legacy2x => {
            let (_, indexes) = legacy::load_indexed(&root, &overrides).ok()?;
            root.get("streams")?.items().get(*indexes.get(at)?)?
        }
    };
    let kind = probe::kinds::by_name(config.targets[at].kind);
    let fields = || super::fields::TARGET.iter().chain(kind.map_or(&[][..], |k| k.fields));
    let pairs = item.entries().map(|e| {
        let ty = fields().find(|f| f.key == e.key).map(|f| &f.ty);
        (e.key.clone(), mask::value(&e.key, &e.value.node(ty).value))
    });
    Some(pairs.collect())
}
