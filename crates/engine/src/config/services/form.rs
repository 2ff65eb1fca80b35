//! The section `form`: what people may set of a service. That its keys fit together, and where their values go.

use std::path::Path;

use model::conf::Section;
use model::unit::form::{Form, Goes, Key, KeyType, Must};
use model::unit::spec::{Container, Process};
use probe::commands::{is_variable, pattern};

use super::super::tree::Item;
use super::fields::{FORM, KEY, TO};
use super::part::Reader;
use crate::units::forms::arguments::{Piece, pieces};
use crate::units::forms::values;

/// Most bytes of a text where the file says nothing.
const DEFAULT_TEXT_BYTES: usize = 4096;
/// Most keys: a page with more is no form.
const MAX_KEYS: usize = 200;
/// Longest name of a key.
const MAX_KEY_BYTES: usize = 64;

/// What the values of a form are handed to.
pub(super) struct Receivers<'a> {
    pub(super) process: Option<&'a Process>,
    pub(super) container: Option<&'a Container>,
}

impl Receivers<'_> {
    /// Every list of arguments.
    fn arguments(&self) -> impl Iterator<Item = &[String]> {
        let created = self.container.and_then(|c| c.create.as_ref()).map(|c| c.argv.as_slice());
        self.process.map(|p| p.argv.as_slice()).into_iter().chain(created)
    }

    /// Whether a variable is set already.
    fn sets(&self, name: &str) -> bool {
        let process = self.process.map(|p| (&p.env, &p.secret_env));
        let created = self.container.and_then(|c| c.create.as_ref()).map(|c| (&c.env, &c.secret_env));
        process
            .into_iter()
            .chain(created)
            .any(|(env, secret)| env.iter().any(|(n, _)| n == name) || secret.iter().any(|(n, _)| n == name))
    }
}

/// Reads `form`.
pub(super) fn form(reader: &mut Reader<'_>, unit: &Item, path: &str, to: &Receivers<'_>) -> Option<Form> {
    let item = unit.get("form").filter(|item| item.is_map())?;
    let here = format!("{path}.form");
    reader.section(unit, path, "form", &FORM, |reader, section| {
        let file = reader.path_at(section, "file");
        if let Some(file) = &file {
            check_file(reader, section, file);
        }
        let mut keys = Vec::new();
        for entry in item.get("keys").into_iter().flat_map(Item::entries) {
            let node = entry.value.node_of(&KEY);
            let section = Section::check(&node, &KEY, format!("{here}.keys.{}", entry.key), &mut reader.problems);
            keys.extend(key(reader, &section, &entry.key, &entry.value, to));
        }
        if keys.len() > MAX_KEYS {
            reader.wrong(
                section,
                "keys",
                format!("{} keys, at most {MAX_KEYS} are accepted", keys.len()),
                "leave some to the file",
            );
        }
        check_arguments(reader, section, &keys, to);
        if to.container.is_some_and(|c| c.create.is_none())
            && to.process.is_none()
            && keys.iter().any(|k| !k.to.is_empty())
        {
            let message = "a container that others made takes no arguments or variables from here";
            reader.warn(section, "keys", message, "describe it under `create`, or let it read the form's file");
        }
        Some(Form { file: file?, keys })
    })
}

fn check_file(reader: &mut Reader<'_>, section: &Section<'_>, file: &Path) {
    if file.file_name().is_none() || file.is_dir() {
        reader.wrong(
            section,
            "file",
            format!("{} is a folder", file.display()),
            "name a file in it, such as settings.json",
        );
    }
}

fn key(reader: &mut Reader<'_>, section: &Section<'_>, name: &str, item: &Item, to: &Receivers<'_>) -> Option<Key> {
    let before = reader.problems.len();
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if !name.bytes().all(good) || name.is_empty() || name.len() > MAX_KEY_BYTES {
        reader.wrong(section, "type", format!("{name:?} cannot name a key"), "letters, digits, `_`, `-` and `.`");
    }
    let ty = key_type(reader, section)?;
    let to = goes(reader, section, &ty, item, to);
    let mut key = Key {
        name: name.to_owned(),
        title: section.text("title").unwrap_or_else(|| name.to_owned()),
        description: section.text("description").unwrap_or_default(),
        ty,
        default: None,
        required: section.bool("required").unwrap_or_default(),
        to,
    };
    if let Some(text) = section.text("default") {
        match values::from_text(&key, &text) {
            Ok(value) => key.default = Some(value),
            Err(why) => reader.wrong(section, "default", why, "a default is a value that the key takes"),
        }
    }
    (reader.problems.len() == before).then_some(key)
}

fn key_type(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<KeyType> {
    let word = section.text("type")?;
    let takes: &[&str] = match word.as_str() {
        "text" => &["max", "pattern", "enum"],
        "integer" | "number" => &["min", "max"],
        "path" => &["must"],
        _ => &[],
    };
    for key in ["min", "max", "pattern", "enum", "must"] {
        if section.node(key).is_some() && !takes.contains(&key) {
            reader.wrong(
                section,
                key,
                format!("{key} has no effect with the type {word}"),
                "take it away, or change the type",
            );
        }
    }
    let (min, max) = (section.number("min"), section.number("max"));
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        reader.wrong(section, "max", format!("max {max} is less than min {min}"), "swap them");
    }
    Some(match word.as_str() {
        "secret" => KeyType::Secret,
        "bool" => KeyType::Bool,
        "number" => KeyType::Number { min: min.unwrap_or(f64::MIN), max: max.unwrap_or(f64::MAX) },
        "integer" => KeyType::Integer {
            min: whole(reader, section, "min", i64::MIN),
            max: whole(reader, section, "max", i64::MAX),
        },
        "path" => KeyType::Path {
            must: match section.text("must")?.as_str() {
                "read_folder" => Must::ReadFolder,
                "write_folder" => Must::WriteFolder,
                "file_in_folder" => Must::FileInFolder,
                _ => Must::Nothing,
            },
        },
        _ => {
            let form = section.text("pattern");
            if let Some(Err(why)) = form.as_deref().map(pattern) {
                reader.wrong(
                    section,
                    "pattern",
                    format!("this is no regular expression: {why}"),
                    "such as `[a-z]+[0-9]*`",
                );
            }
            let max = whole(reader, section, "max", i64::try_from(DEFAULT_TEXT_BYTES).unwrap_or(i64::MAX));
            let max = usize::try_from(max).unwrap_or(0).min(DEFAULT_TEXT_BYTES);
            KeyType::Text { max, pattern: form, choices: section.texts("enum") }
        }
    })
}

/// A bound that must be a whole number.
fn whole(reader: &mut Reader<'_>, section: &Section<'_>, key: &str, absent: i64) -> i64 {
    let Some(value) = section.number(key) else { return absent };
    if value.fract() != 0.0 {
        reader.wrong(
            section,
            key,
            format!("{value} is no whole number"),
            "take the fraction away, or use the type number",
        );
    }
    #[expect(clippy::cast_possible_truncation, reason = "the table bounds it to whole numbers that are exact")]
    let whole = value as i64;
    whole
}

fn goes(reader: &mut Reader<'_>, section: &Section<'_>, ty: &KeyType, item: &Item, to: &Receivers<'_>) -> Vec<Goes> {
    if section.node("to").is_none() {
        return Vec::new();
    }
    let path = section.path_of("to");
    let parent = path.strip_suffix(".to").unwrap_or(&path);
    let secret = matches!(ty, KeyType::Secret);
    reader.section(item, parent, "to", &TO, |reader, section| {
        let mut goes = Vec::new();
        let option = section.text("option");
        let argument = section.bool("argument").unwrap_or_default();
        for (key, given) in [("option", option.is_some()), ("argument", argument)] {
            if secret && given {
                let message = "every user of a machine can read the arguments of its processes";
                reader.wrong(section, key, message, "hand a secret over with `env`");
            }
        }
        if let Some(option) = option {
            if option.is_empty() || option.contains(|c: char| c.is_whitespace() || c.is_control()) {
                reader.wrong(section, "option", format!("{option:?} is no option"), "such as --max-workers");
            }
            goes.push(Goes::Option(option));
        }
        if argument {
            goes.push(Goes::Placeholder);
        }
        if let Some(name) = section.text("env") {
            if !is_variable(&name) {
                reader.wrong(section, "env", format!("{name:?} cannot name a variable"), "letters, digits and `_`");
            } else if to.sets(&name) {
                reader.wrong(
                    section,
                    "env",
                    format!("{name} is set by the service's own env too"),
                    "leave it to one of the two",
                );
            }
            goes.push(Goes::Env(name));
        }
        goes
    })
}

/// Every name in braces is a key that is meant to go there, and every such key stands somewhere.
fn check_arguments(reader: &mut Reader<'_>, section: &Section<'_>, keys: &[Key], to: &Receivers<'_>) {
    let meant = |key: &&Key| key.to.contains(&Goes::Placeholder);
    if !keys.iter().any(|key| meant(&key)) {
        return; // braces are braces
    }
    let mut names = Vec::new();
    for text in to.arguments().flatten() {
        match pieces(text) {
            Err(why) => reader.wrong(section, "keys", why, "braces are for keys of the form"),
            Ok(pieces) => names.extend(pieces.into_iter().filter_map(|piece| match piece {
                Piece::Key(name) => Some(name),
                Piece::Literal(_) => None,
            })),
        }
    }
    for name in &names {
        if !keys.iter().filter(meant).any(|key| key.name == *name) {
            let message = format!("{{{name}}} stands in the arguments and is no key with `to: {{argument: true}}`");
            reader.wrong(section, "keys", message, "declare it, or write {{ and }} for braces");
        }
    }
    for key in keys.iter().filter(meant).filter(|key| !names.contains(&key.name)) {
        let message = format!("{} goes into an argument, and {{{0}}} stands in none", key.name);
        reader.wrong(section, "keys", message, "write it in argv");
    }
}
