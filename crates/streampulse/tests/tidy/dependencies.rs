//! What we depend on: each with a reason, each once, and some never.

use crate::repository::Package;

/// Packages that are built in two versions, and why that cannot be helped from here. Take a row out when it stops being true.
pub(crate) const DOUBLES: &[(&str, &str)] = &[
    ("syn", "the derive macros of tracing and asn1-rs are on 2, those of clap, serde and thiserror on 3"),
    ("synstructure", "follows syn: asn1-rs-derive on 0.13, the icu family on 0.14"),
];

/// Packages that must not be built, not even through somebody else.
const BANNED: &[(&str, &str)] = &[
    ("ring", "one TLS provider in the process: aws-lc-rs"),
    ("native-tls", "TLS is rustls"),
    ("openssl-sys", "TLS is rustls; nothing to install on the user's machine"),
    ("chrono", "time is jiff"),
    ("async-std", "the runtime is tokio"),
];

/// The shortest comment that can be a reason rather than a heading.
const REASON_WORDS: usize = 2;

/// Every foreign dependency of the root manifest says, on its line or right above it, why it is there.
pub(crate) fn check_reasons(manifest: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut inside = false;
    let mut above = "";
    for (number, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
        }
        if inside
            && let Some((name, value)) = line.split_once('=')
            && !line.starts_with('#')
            && !value.contains("path =")
        {
            let beside = value.rsplit_once('#').map_or("", |(_, comment)| comment);
            let says = |comment: &str| comment.split_whitespace().count() >= REASON_WORDS;
            if !says(beside) && !says(above.strip_prefix('#').unwrap_or("")) {
                complaints.push(format!(
                    "Cargo.toml:{}: {}: say why it is there, in a comment on its line",
                    number + 1,
                    name.trim()
                ));
            }
        }
        above = line;
    }
    complaints
}

/// Packages in two versions: twice the build time, twice the code, and types that look alike but are not.
pub(crate) fn check_doubles(packages: &[Package], excused: &[(&str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let doubled: Vec<&str> =
        packages.windows(2).filter(|pair| pair[0].name == pair[1].name).map(|pair| pair[0].name.as_str()).collect();
    for name in &doubled {
        if !excused.iter().any(|(known, _)| known == name) {
            let versions: Vec<&str> = packages
                .iter()
                .filter(|package| package.name == **name)
                .map(|package| package.version.as_str())
                .collect();
            complaints
                .push(format!("{name} is built as {}: `cargo tree -i {name}` shows for whom", versions.join(" and ")));
        }
    }
    for (name, _) in excused {
        if !doubled.contains(name) {
            complaints.push(format!("{name} is no longer doubled: take it out of DOUBLES"));
        }
    }
    complaints
}

pub(crate) fn check_banned(packages: &[Package]) -> Vec<String> {
    let found = packages.iter().filter_map(|package| BANNED.iter().find(|(name, _)| *name == package.name));
    found.map(|(name, why)| format!("{name} is built: {why}; `cargo tree -i {name}` shows for whom")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dependency_without_a_reason_is_named() {
        let manifest = "[workspace.dependencies]\nmodel = { path = \"x\" }\n# web\naxum = \"1\"\nurl = \"2\" # WHATWG parsing\n# decodes camera pictures\nzune = \"1\"\nrand = \"1\"\n[profile.dev]\ndebug = 1\n";
        let complaints = check_reasons(manifest);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].contains(":4: axum") && complaints[1].contains(":8: rand"), "{complaints:?}");
    }

    fn package(name: &str, version: &str) -> Package {
        Package { name: name.into(), version: version.into(), licence: "MIT".into() }
    }

    #[test]
    fn doubles_need_an_excuse_and_excuses_need_a_double() {
        let packages = [package("a", "1.0.0"), package("a", "2.0.0"), package("b", "1.0.0")];
        assert_eq!(check_doubles(&packages, &[]).len(), 1);
        assert!(check_doubles(&packages, &[("a", "because")]).is_empty());
        assert_eq!(check_doubles(&packages, &[("a", "because"), ("b", "once")]).len(), 1);
    }

    #[test]
    fn banned_packages_are_named() {
        assert_eq!(check_banned(&[package("ring", "0.17.0"), package("rustls", "0.23.0")]).len(), 1);
    }
}
