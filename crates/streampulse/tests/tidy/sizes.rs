//! How long a file and a function may be. Past the limit a piece usually does two jobs: split it by what it owns.

use crate::repository::File;
use crate::rust;

/// Lines of a hand-written file. The aim is about 200.
const FILE_LINES: usize = 600;
/// Lines of a function from which it is worth a look.
const FUNCTION_WORTH_A_LOOK: usize = 70;
/// Lines of a function at which the build fails.
const FUNCTION_LINES: usize = 100;

const MEASURED: &[&str] = &["rs", "js", "mjs", "css", "sh", "py", "html"];

pub(crate) fn check_file(file: &File) -> Option<String> {
    let measured = MEASURED.contains(&file.extension()) && !file.is_vendored();
    let lines = file.text.lines().count();
    (measured && lines > FILE_LINES)
        .then(|| format!("{}: {lines} lines, at most {FILE_LINES}: split it by what it owns", file.path))
}

#[derive(Default)]
pub(crate) struct Found {
    pub(crate) warnings: Vec<String>,
    pub(crate) errors: Vec<String>,
}

pub(crate) fn check_functions(file: &File) -> Found {
    let mut found = Found::default();
    for function in rust::functions(&rust::code_only(&file.text)) {
        let rust::Function { name, line, length } = function;
        if length > FUNCTION_LINES {
            found.errors.push(format!(
                "{}:{line}: fn {name} has {length} lines, at most {FUNCTION_LINES}: give its parts names",
                file.path
            ));
        } else if length > FUNCTION_WORTH_A_LOOK {
            found.warnings.push(format!("{}:{line}: fn {name} has {length} lines", file.path));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_refused_unless_vendored_or_not_ours_to_split() {
        let long = "x\n".repeat(FILE_LINES + 1);
        for (path, refused) in
            [("crates/a/src/b.rs", true), ("testbed/x.sh", true), ("ui/vendor/chart.js", false), ("a.md", false)]
        {
            assert_eq!(check_file(&File::new(path, &long)).is_some(), refused, "{path}");
        }
        assert!(check_file(&File::new("a.rs", &"x\n".repeat(FILE_LINES))).is_none());
    }

    #[test]
    fn a_long_function_is_refused_and_a_longish_one_noted() {
        for (lines, warnings, errors) in [(10, 0, 0), (80, 1, 0), (200, 0, 1)] {
            let text = format!("fn f() {{\n{}}}\n", "    step();\n".repeat(lines));
            let found = check_functions(&File::new("a.rs", &text));
            assert_eq!((found.warnings.len(), found.errors.len()), (warnings, errors), "{lines}");
        }
    }
}
