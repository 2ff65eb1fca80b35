//! Files as modules: each begins with what it owns, each is compiled, and each probe kind stands in the table.

use crate::repository::File;
use crate::rust;

pub(crate) fn check_header(file: &File) -> Option<String> {
    let told = file.text.starts_with("//! ");
    (!told).then(|| format!("{}: begin with `//!`: what this file owns and what it never does", file.path))
}

/// Files that no `mod` line names are not compiled: nobody would notice that they rot.
pub(crate) fn check_reachable(files: &[File]) -> Vec<String> {
    let rust: Vec<&File> = files.iter().filter(|file| file.is_rust() && file.path.contains("/src/")).collect();
    let orphans = rust.iter().filter(|file| {
        let Some((folder, name)) = file.path.rsplit_once('/') else { return false };
        let stem = name.trim_end_matches(".rs");
        if ["lib", "main", "build"].contains(&stem) || folder.ends_with("/bin") {
            return false;
        }
        let (parent, module) =
            if stem == "mod" { folder.rsplit_once('/').unwrap_or((folder, "")) } else { (folder, stem) };
        let owners = [
            format!("{parent}/lib.rs"),
            format!("{parent}/main.rs"),
            format!("{parent}/mod.rs"),
            format!("{parent}.rs"),
        ];
        let by_path = format!("{name}\"]");
        !rust.iter().any(|other| {
            (owners.contains(&other.path) && declares(&other.text, module)) || other.text.contains(&by_path)
        })
    });
    orphans.map(|file| format!("{}: no `mod` line names it, so it is not compiled", file.path)).collect()
}

/// Whether the text has a line `mod NAME;`, whatever its visibility.
fn declares(text: &str, module: &str) -> bool {
    let wanted = format!("mod {module};");
    rust::code_only(text).lines().any(|line| {
        let line = line.trim();
        line == wanted || line.ends_with(&format!(" {wanted}"))
    })
}

/// Fuzz targets are built by hand and rarely, so that nobody would notice a manifest that lacks one or cannot be read: every file
/// has a table `[[bin]]` of its own with exactly these keys.
pub(crate) fn check_fuzz_targets(names: &[String], manifest: &str) -> Vec<String> {
    let tables: Vec<&str> = manifest.split("[[bin]]").skip(1).map(str::trim).collect();
    let missing = names.iter().filter(|name| {
        let wanted =
            format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false");
        !tables.contains(&wanted.as_str())
    });
    missing.map(|name| format!("fuzz/Cargo.toml: {name} has no table [[bin]] like those of the others")).collect()
}

/// Every file of the folder has its `mod` line and its row in the table of this file, and every row has its file.
pub(crate) fn check_table(folder: &str, names: &[String], table: &str) -> Vec<String> {
    let code = rust::code_only(table);
    let mut complaints = Vec::new();
    for name in names {
        if !declares(table, name) {
            complaints.push(format!("{folder}/{name}.rs: add `mod {name};` to {folder}.rs"));
        }
        if !holds_row(&code, name) {
            complaints.push(format!("{folder}/{name}.rs: add its row `&{name}::KIND` to the table in {folder}.rs"));
        }
    }
    let rows: Vec<&str> =
        code.split("::KIND").filter_map(|before| before.rsplit(['&', ' ', '[', ',', '\n']).next()).collect();
    let ordered = rows.windows(2).all(|pair| pair[1].is_empty() || pair[0] <= pair[1]);
    if !ordered && !names.is_empty() {
        complaints.push(format!("{folder}.rs: keep the rows in alphabetical order"));
    }
    complaints
}

fn holds_row(code: &str, name: &str) -> bool {
    let row = format!("{name}::KIND");
    code.match_indices(&row).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fuzz_target_without_its_own_table_is_named() {
        let keys = |name: &str| {
            format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\ntest = false\ndoc = false\nbench = false\n")
        };
        let names = ["one".to_owned(), "two".to_owned()];
        let good = format!("[[bin]]\n{}\n[[bin]]\n{}", keys("one"), keys("two"));
        assert_eq!(check_fuzz_targets(&names, &good), [""; 0]);
        assert_eq!(check_fuzz_targets(&names, &good.replacen("\n[[bin]]\nname = \"two", "\nname = \"two", 1)).len(), 2);
        assert_eq!(check_fuzz_targets(&names, &format!("[[bin]]\n{}", keys("one"))).len(), 1);
    }

    #[test]
    fn a_file_without_a_header_is_named() {
        assert!(check_header(&File::new("a.rs", "use std;\n")).is_some());
        assert!(check_header(&File::new("a.rs", "//! What it owns.\nuse std;\n")).is_none());
    }

    #[test]
    fn a_file_that_nobody_compiles_is_named() {
        let files = [
            File::new(
                "crates/a/src/lib.rs",
                "pub mod b;\nmod folder;\n// mod lost;\n#[path = \"odd.rs\"]\nmod other;\n",
            ),
            File::new("crates/a/src/b.rs", "mod inner;"),
            File::new("crates/a/src/b/inner.rs", ""),
            File::new("crates/a/src/folder/mod.rs", "pub(crate) mod deep;"),
            File::new("crates/a/src/folder/deep.rs", ""),
            File::new("crates/a/src/odd.rs", ""),
            File::new("crates/a/src/lost.rs", ""),
            File::new("crates/a/src/b/lost_too.rs", ""),
        ];
        let complaints = check_reachable(&files);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints.iter().all(|complaint| complaint.contains("lost")), "{complaints:?}");
    }

    #[test]
    fn a_kind_needs_both_lines() {
        let names = ["http".to_owned(), "rtsp".to_owned()];
        let good = "mod http;\nmod rtsp;\npub static KINDS: &[&Kind] = &[&http::KIND, &rtsp::KIND];\n";
        assert_eq!(check_table("kinds", &names, good), Vec::<String>::new());
        let bad = [
            ("mod http;\npub static KINDS: &[&Kind] = &[&http::KIND, &rtsp::KIND];\n", "mod rtsp;"),
            ("mod http;\nmod rtsp;\npub static KINDS: &[&Kind] = &[&http::KIND];\n", "&rtsp::KIND"),
            ("mod http;\nmod rtsp;\npub static KINDS: &[&Kind] = &[&rtsp::KIND, &http::KIND];\n", "alphabetical"),
            (
                "mod http;\nmod rtsp;\n// &rtsp::KIND\npub static KINDS: &[&Kind] = &[&http::KIND, &xrtsp::KIND];\n",
                "&rtsp::KIND",
            ),
        ];
        for (table, expected) in bad {
            let complaints = check_table("kinds", &names, table);
            assert!(complaints.iter().any(|complaint| complaint.contains(expected)), "{table}: {complaints:?}");
        }
    }
}
