//! Who may depend on whom. Cargo already refuses cycles; this refuses the shortcuts that Cargo would allow.

/// Level of every crate. A crate sees lower levels only, so crates of one level never see each other.
const LEVELS: &[(&str, u8)] = &[
    ("model", 0),
    ("wire", 0),
    ("net", 1),
    ("probe", 2),
    ("sink", 2),
    ("supervise", 2),
    ("store", 2),
    ("engine", 3),
    ("web", 4),
    ("streampulse", 5),
];

/// Development only: may be a dev-dependency of any crate and a dependency of none.
const TESTKIT: &str = "testkit";

/// Crates that see even less than their level allows.
const NARROWER: &[(&str, &[&str], &str)] =
    &[("store", &["model"], "history knows the vocabulary, not how a stream is looked at")];

/// Packages that belong to certain crates. Everybody else asks those crates.
const OWNED: &[(&str, &[&str], &str)] = &[
    ("rusqlite", &["store"], "SQL stays in store"),
    ("axum", &["web"], "routes stay in web"),
    ("utoipa", &["web"], "the API's description stays in web"),
    ("hyper", &["net", "web"], "HTTP goes through net (out) and web (in)"),
    ("socket2", &["net"], "sockets are opened in net"),
    ("rustls", &["net", "web", "streampulse", TESTKIT], "TLS goes through net; the binary installs the provider"),
    ("tokio-rustls", &["net", "web", TESTKIT], "TLS goes through net"),
    ("serde", &["sink", "supervise", "web", "streampulse"], "serialisation lives at the edges, on types of their own"),
    ("saphyr-parser", &["engine", "web"], "the file is read by engine; web finds the places of secrets in its text"),
    ("argon2", &["web"], "passwords are web's"),
    ("clap", &["streampulse"], "arguments are the binary's"),
    ("anyhow", &["engine", "streampulse"], "only the run shell and the binary report without deciding"),
    (
        "tokio",
        &["net", "probe", "sink", "supervise", "engine", "web", "streampulse", TESTKIT],
        "model and wire are pure, store has threads of its own",
    ),
    ("nix", &["net", "supervise"], "sockets stay in net; signals and children in supervise"),
    ("rust_h264", &["probe"], "decoding is contained in probe"),
    ("rust_h265", &["probe"], "decoding is contained in probe"),
];

#[derive(Clone, Copy, PartialEq)]
enum Section {
    Normal,
    Development,
    Other,
}

fn section(header: &str) -> Section {
    let name = header.rsplit('.').next().unwrap_or(header);
    match name {
        "dependencies" | "build-dependencies" => Section::Normal,
        "dev-dependencies" => Section::Development,
        _ => Section::Other,
    }
}

/// Names a manifest depends on, and whether only its tests do.
fn dependencies(manifest: &str) -> Vec<(String, Section)> {
    let mut current = Section::Other;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(header) = line.strip_prefix('[') {
            let header = header.trim_end_matches(']');
            current = section(header);
            // `[dependencies.name]` is a dependency of its own.
            if let Some((outer, name)) = header.rsplit_once('.')
                && section(outer) != Section::Other
            {
                found.push((name.to_owned(), section(outer)));
            }
        } else if current != Section::Other && !line.starts_with('#') {
            let name: String = line.chars().take_while(|c| c.is_alphanumeric() || *c == '-' || *c == '_').collect();
            if !name.is_empty() {
                found.push((name, current));
            }
        }
    }
    found
}

fn level(name: &str) -> Option<u8> {
    LEVELS.iter().find(|(known, _)| *known == name).map(|(_, level)| *level)
}

/// Complaints about all manifests, given as folder name and text.
pub(crate) fn check(manifests: &[(String, String)]) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, text) in manifests {
        if level(name).is_none() && name != TESTKIT {
            complaints.push(format!("crates/{name}: not in LEVELS of this test: say on which level it stands"));
            continue;
        }
        for (dependency, section) in dependencies(text) {
            if let Some(why) = refusal(name, &dependency, section) {
                complaints.push(format!("crates/{name}/Cargo.toml: {dependency}: {why}"));
            }
        }
    }
    complaints
}

fn refusal(name: &str, dependency: &str, section: Section) -> Option<String> {
    if dependency == TESTKIT {
        return (section != Section::Development).then(|| "testkit is for [dev-dependencies]".to_owned());
    }
    if let Some(theirs) = level(dependency) {
        // Testkit stands beside everything and may speak of the pure crates only, so that every crate's tests can use it.
        let ours = level(name).unwrap_or(1);
        if theirs >= ours {
            return Some(format!(
                "level {ours} may not see level {theirs}: pass data, or move what both need further in"
            ));
        }
        let narrow = NARROWER.iter().find(|(narrow, seen, _)| *narrow == name && !seen.contains(&dependency));
        return narrow.map(|(_, _, why)| (*why).to_owned());
    }
    if section == Section::Development {
        return None;
    }
    let owned = OWNED.iter().find(|(package, owners, _)| *package == dependency && !owners.contains(&name));
    owned.map(|(_, _, why)| (*why).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(name: &str, manifest: &str) -> Vec<String> {
        check(&[(name.to_owned(), manifest.to_owned())])
    }

    #[test]
    fn shortcuts_are_refused() {
        let bad = [
            ("model", "[dependencies]\ntokio.workspace = true\n"),
            ("model", "[dependencies]\nserde = { version = \"1\" }\n"),
            ("model", "[dependencies]\nwire.workspace = true\n"),
            ("wire", "[dependencies.net]\npath = \"../net\"\n"),
            ("probe", "[dependencies]\nstore.workspace = true\n"),
            ("probe", "[target.'cfg(unix)'.dependencies]\nengine.workspace = true\n"),
            ("store", "[dependencies]\nnet.workspace = true\n"),
            ("web", "[dependencies]\nrusqlite.workspace = true\n"),
            ("engine", "[dependencies]\ntestkit.workspace = true\n"),
            ("streampulse", "[build-dependencies]\ntestkit.workspace = true\n"),
            ("net", "[dev-dependencies]\nprobe.workspace = true\n"),
            ("testkit", "[dependencies]\nnet.workspace = true\n"),
            ("newcomer", ""),
        ];
        for (name, manifest) in bad {
            assert_eq!(complaints(name, manifest).len(), 1, "{name}: {manifest}");
        }
    }

    #[test]
    fn the_design_is_accepted() {
        let good = [
            (
                "engine",
                "[dependencies]\nmodel.workspace = true\nstore.workspace = true # tokio = \"1\"\n# axum = \"1\"\n",
            ),
            ("probe", "[dev-dependencies]\ntestkit.workspace = true\n"),
            ("net", "[dev-dependencies]\nserde.workspace = true\n"),
            ("streampulse", "[dependencies]\nweb.workspace = true\n[[bin]]\nname = \"streampulse\"\n"),
        ];
        for (name, manifest) in good {
            assert_eq!(complaints(name, manifest), Vec::<String>::new(), "{name}: {manifest}");
        }
    }
}
