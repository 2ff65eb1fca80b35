//! Words that must not be committed, each with what to do instead, and calls that panic without saying why.
//! The words are written in two halves here, so that this file passes its own rule.

use crate::repository::File;
use crate::rust;

struct Banned {
    word: &'static str,
    instead: &'static str,
    /// Endings of the files it is looked for in; empty means all.
    only_in: &'static [&'static str],
}

const fn everywhere(word: &'static str, instead: &'static str) -> Banned {
    Banned { word, instead, only_in: &[] }
}

const fn in_rust(word: &'static str, instead: &'static str) -> Banned {
    Banned { word, instead, only_in: &["rs"] }
}

/// Where a word promises work that has not been done.
const CODE: &[&str] = &["rs", "sh", "py", "sql", "toml"];

const BANNED: &[Banned] = &[
    in_rust(concat!("to", "do!"), "write it, or leave the caller out"),
    in_rust(concat!("unimple", "mented!"), "write it, or leave the caller out"),
    in_rust(
        concat!("#[ig", "nore"),
        "mend the test or delete it; a test that needs the testbed says loudly that it was skipped",
    ),
    in_rust(concat!("should_", "panic"), "return the error and assert on it"),
    in_rust(concat!("thread::", "sleep"), "wait for a state with a deadline"),
    everywhere(concat!("FIX", "ME"), "mend it now, or open an issue"),
    everywhere(concat!("X", "XX"), "mend it now, or open an issue"),
    Banned { word: concat!("TO", "DO"), instead: "do it now, or open an issue", only_in: CODE },
    Banned { word: concat!("for ", "now"), instead: "say what holds, without a promise", only_in: CODE },
    // The web calls the grey text in an empty field by this name, so pages and scripts may say it.
    Banned { word: concat!("place", "holder"), instead: "put the real thing there", only_in: CODE },
    Banned { word: concat!("simpli", "fied"), instead: "say what is left out, and why that is right", only_in: CODE },
    everywhere(concat!("/wo", "rk/"), "a path of one machine: use a relative one"),
    everywhere(concat!("/fa", "rm/"), "a path of one machine: use a relative one"),
    everywhere(concat!("/ro", "ot/."), "a path of one machine: use a relative one"),
];

pub(crate) fn check_words(file: &File) -> Vec<String> {
    if file.is_vendored() {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        for banned in BANNED {
            let looked_for = banned.only_in.is_empty() || banned.only_in.contains(&file.extension());
            if looked_for && holds_word(line, banned.word) {
                complaints.push(format!("{}:{}: `{}`: {}", file.path, number + 1, banned.word, banned.instead));
            }
        }
    }
    complaints
}

/// The word, not as part of a longer one. Letters of either case make a difference, as they do in code.
fn holds_word(line: &str, word: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let starts_alone = !word.starts_with(char::is_alphanumeric) || !joins(line[..at].chars().next_back());
        let ends_alone = !word.ends_with(char::is_alphanumeric) || !joins(line[at + word.len()..].chars().next());
        starts_alone && ends_alone
    })
}

/// A panic outside tests must say why it cannot happen. Clippy knows `unwrap`; it does not know an empty reason.
pub(crate) fn check_unwrap(file: &File) -> Vec<String> {
    if file.is_test() {
        return Vec::new();
    }
    let product = rust::without_tests(&rust::code_only(&file.text));
    let mut complaints = Vec::new();
    for (number, (code, line)) in product.lines().zip(file.text.lines()).enumerate() {
        let place = format!("{}:{}", file.path, number + 1);
        if code.contains(".unwrap()") || code.contains(".unwrap_err()") {
            complaints.push(format!("{place}: a bare unwrap: return the error, or `expect` with why it cannot fail"));
        }
        if code.contains(".expect(") && line.contains(".expect(\"\")") {
            complaints.push(format!("{place}: an expect without a reason: say why it cannot fail"));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaints(path: &str, text: &str) -> usize {
        check_words(&File::new(path, text)).len()
    }

    #[test]
    fn each_banned_word_is_found_where_it_is_banned() {
        for banned in BANNED {
            let path = format!("a/b.{}", banned.only_in.first().unwrap_or(&"md"));
            assert_eq!(complaints(&path, &format!("so {} it\n", banned.word)), 1, "{}", banned.word);
        }
        assert_eq!(complaints("a/b.html", concat!("<input place", "holder=\"name\">")), 0);
        assert_eq!(complaints("a/vendor/b.js", concat!("// FIX", "ME")), 0);
        assert_eq!(complaints("a/b.rs", "let simplifieds = method(); // todos, XXXL"), 0);
    }

    #[test]
    fn unwrap_is_for_tests() {
        let bad = "fn f() { x.unwrap(); y.expect(\"\"); }\n";
        assert_eq!(check_unwrap(&File::new("crates/a/src/b.rs", bad)).len(), 2);
        assert!(check_unwrap(&File::new("crates/a/tests/b.rs", bad)).is_empty());
        let good = "fn f() { x.unwrap_or(1); y.expect(\"set above\"); } // .unwrap()\n#[cfg(test)]\nmod tests { fn g() { x.unwrap(); } }\n";
        assert!(check_unwrap(&File::new("crates/a/src/b.rs", good)).is_empty());
    }
}
