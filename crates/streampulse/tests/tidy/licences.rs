//! Licences of everything that is built: each must leave us free to give the binary away under ours.

use crate::repository::Package;

/// Licences whose terms a binary under MIT OR Apache-2.0 can keep. NOTICE carries what they ask to be said.
const ALLOWED: &[&str] = &[
    "MIT",
    "MIT-0",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "Zlib",
    "BSL-1.0",
    "CC0-1.0",
    "Unlicense",
    "Unicode-3.0",
    "IJG",
];

pub(crate) fn check(packages: &[Package]) -> Vec<String> {
    let refused = packages.iter().filter(|package| !allowed(&package.licence));
    refused
        .map(|package| {
            format!("{} {}: licence `{}` is not on the list", package.name, package.version, package.licence)
        })
        .collect()
}

/// Whether an SPDX expression can be met with allowed licences alone. Of an OR one side is enough, of an AND both are needed.
fn allowed(expression: &str) -> bool {
    // Older manifests separate alternatives by a slash.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let verdict = any(&tokens, &mut at);
    verdict && at == tokens.len()
}

fn any(tokens: &[&str], at: &mut usize) -> bool {
    let mut verdict = all(tokens, at);
    while tokens.get(*at) == Some(&"OR") {
        *at += 1;
        verdict |= all(tokens, at);
    }
    verdict
}

fn all(tokens: &[&str], at: &mut usize) -> bool {
    let mut verdict = one(tokens, at);
    while tokens.get(*at) == Some(&"AND") {
        *at += 1;
        verdict &= one(tokens, at);
    }
    verdict
}

fn one(tokens: &[&str], at: &mut usize) -> bool {
    let Some(token) = tokens.get(*at) else { return false };
    *at += 1;
    if *token == "(" {
        let verdict = any(tokens, at);
        let closed = tokens.get(*at) == Some(&")");
        *at += usize::from(closed);
        return verdict && closed;
    }
    let mut name = (*token).to_owned();
    if tokens.get(*at) == Some(&"WITH") {
        name = format!("{name} WITH {}", tokens.get(*at + 1).unwrap_or(&""));
        *at = (*at + 2).min(tokens.len());
    }
    ALLOWED.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged() {
        let cases = [
            ("MIT", true),
            ("MIT/Apache-2.0", true),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0", false),
            ("MIT AND GPL-3.0", false),
            ("(MIT OR Apache-2.0) AND IJG", true),
            ("(MIT OR Apache-2.0) AND AGPL-3.0", false),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", true),
            ("GPL-2.0 WITH Classpath-exception-2.0", false),
            ("ISC AND (Apache-2.0 OR ISC) AND BSD-3-Clause", true),
            ("", false),
            ("MIT OR", true),
            ("(MIT", false),
            ("MIT MIT", false),
        ];
        for (expression, expected) in cases {
            assert_eq!(allowed(expression), expected, "{expression}");
        }
    }

    #[test]
    fn a_package_without_a_fitting_licence_is_named() {
        let package =
            |name: &str, licence: &str| Package { name: name.into(), version: "1.0.0".into(), licence: licence.into() };
        let complaints = check(&[package("good", "MIT"), package("bad", "SSPL-1.0"), package("unsaid", "")]);
        assert_eq!(complaints.len(), 2);
        assert!(complaints[0].starts_with("bad 1.0.0: licence `SSPL-1.0`"), "{complaints:?}");
    }
}
