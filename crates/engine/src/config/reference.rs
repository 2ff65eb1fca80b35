//! The reference page, written from the same tables that the loader checks against.

use std::fmt::Write as _;

use model::conf::Field;

use super::commands::{ARGUMENT, COMMAND, COMMANDS};
use super::schema::{SectionDoc, describe, type_words};
use super::services::fields as services;

/// The page `docs/reference/configuration.md`.
#[must_use]
pub fn reference_md() -> String {
    let mut out = String::from(INTRODUCTION);
    for doc in describe() {
        section(&doc, &mut out);
    }
    out.push_str(COMMANDS_INTRODUCTION);
    table("commands", &COMMANDS, &mut out);
    for (title, fields) in [("`commands.NAME`", &COMMAND[..]), ("`commands.NAME.args.NAME`", &ARGUMENT[..])] {
        let _ = write!(out, "\n### {title}\n");
        table(title, fields, &mut out);
    }
    out
}

const COMMANDS_INTRODUCTION: &str = "
## The file of commands

`commands.yaml` beside the configuration file, or the file that `--commands` or `STREAMPULSE_COMMANDS` names: what targets of the kind
`exec` may run. It is read once, at the start, and nothing that comes over HTTP can write it. Others than its owner may not write it either.

```yaml
commands:
  disk:
    description: Free space of a file system
    argv: [/usr/lib/nagios/plugins/check_disk, -w, \"{warn}\", -p, \"{path}\"]
    args:
      path: {pattern: \"/[a-z/]*\"}
      warn: {default: 20%}
```
";

const INTRODUCTION: &str = "\
# Configuration reference

Every key of `streampulse.yaml`. This page is generated from the tables that the loader checks against
(`UPDATE=1 cargo test -p engine` writes it anew); [the guide](../guide/configuration.md) tells how they are used.

* Durations are words: `500ms`, `10s`, `5m`, `2h`, `30d`, and sums such as `1h30m`. Sizes too: `512KiB`, `4MiB`.
* `${NAME}` in a value is replaced by an environment variable, `${NAME:-default}` by the default where the variable is unset or
  empty. `$$` is a dollar sign. With quotes around it or without, `retries: \"${RETRIES:-2}\"` is a number. In the user name and
  the password of a `url` a variable may hold any sign.
* Where a list is accepted, a single value is a list of one.
* A key without a value (`group:` or `group: ~`) is as good as absent; in a target it also undoes what a template says.
";

/// The page `docs/reference/services.md`.
#[must_use]
pub fn services_reference_md() -> String {
    let mut out = String::from(SERVICES_INTRODUCTION);
    for (title, fields) in services::sections() {
        let _ = write!(out, "\n## `{title}`\n");
        table(title, fields, &mut out);
    }
    out
}

const SERVICES_INTRODUCTION: &str = "\
# Services reference

Every key of `services.yaml`, which stands beside the configuration file unless `--services` or `STREAMPULSE_SERVICES` names another. This
page is generated from the tables that the loader checks against (`UPDATE=1 cargo test -p engine` writes it anew); [the guide](../guide/services.md)
tells how they are used. Durations, sizes, variables and lists are written as in the [configuration](configuration.md).

* Nothing that comes over HTTP can write this file, and others than its owner may not write it either (`chmod go-w`).
* It is watched while StreamPulse runs. A file with problems changes nothing that runs.
* Paths that do not begin with a slash count from the folder of the file, except programs, which are always named by their whole path.
";

fn section(doc: &SectionDoc, out: &mut String) {
    let title = match (doc.name.strip_prefix("kind:"), doc.name.as_str()) {
        (Some(kind), _) => format!("Kind `{kind}`"),
        (None, "channel") => "Channels: `channels[]`".to_owned(),
        (None, name) if name.starts_with("channel:") => {
            format!("Channel of kind `{}`", name.trim_start_matches("channel:"))
        }
        (None, "top") => "Top level".to_owned(),
        (None, "target") => "Targets: `targets[]`".to_owned(),
        (None, "rule") => "Rules: `alerts.rules[]`".to_owned(),
        (None, "window") => "Planned work: `maintenance[]`".to_owned(),
        (None, "expect") => "Expectations: `targets[].expect`".to_owned(),
        (None, name) => format!("`{name}`"),
    };
    let _ = write!(out, "\n## {title}\n\n{}\n", doc.summary);
    if doc.name.starts_with("kind:") {
        let schemes = doc.schemes.iter().map(|s| format!("`{s}`")).collect::<Vec<_>>().join(", ");
        let media = if doc.media { "Carries media." } else { "Carries no media: `depth` has no effect." };
        let holds = if doc.holds { " Can be watched continuously." } else { "" };
        let _ = write!(out, "\nURL schemes: {schemes}. {media}{holds}\n");
    }
    if let Some(example) = doc.example {
        let _ = write!(out, "\n```yaml\n{}\n```\n", example.trim_end());
    }
    if doc.fields.is_empty() {
        out.push_str("\nNo keys beyond those of every target.\n");
        return;
    }
    table(&doc.name, &doc.fields, out);
}

fn table(section: &str, fields: &[Field], out: &mut String) {
    out.push_str("\n| key | holds | default | meaning |\n|---|---|---|---|\n");
    for field in fields {
        let _ = writeln!(out, "{}", row(section, field));
    }
}

fn row(section: &str, field: &Field) -> String {
    let default = match (field.default, field.required) {
        (Some(text), _) => format!("`{text}`"),
        (None, true) => "required".to_owned(),
        // The one pair of keys of which either will do.
        (None, false) if section == "target" && ["name", "id"].contains(&field.key) => {
            "`name` or `id` is required".to_owned()
        }
        (None, false) => String::new(),
    };
    // A bar would end the cell.
    let cell = |text: &str| text.replace('|', "\\|");
    format!("| `{}` | {} | {} | {} |", field.key, cell(&type_words(&field.ty)), cell(&default), cell(field.doc))
}
