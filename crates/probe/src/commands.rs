//! The commands that targets may name: what is run, with which arguments and environment. Owns filling in a target's
//! arguments so that each stays one argument and none becomes an option. Reads no file and starts nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use model::conf::Problem;
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::secret::Secret;
use model::target::Target;
use model::time::Clock;
use regex_lite::Regex;

/// Longest value of an argument, in bytes.
pub const MAX_VALUE_BYTES: usize = 1024;
/// Longest name of a command, an argument or a variable, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Put before the number of bytes that a guard hands on to the command: the argument right behind the guard's own.
pub const GUARD_INPUT: &str = "--input-bytes=";
/// Most bytes of input that a command is given.
pub const MAX_INPUT_BYTES: usize = 1024 * 1024;

/// All commands by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// What targets may name.
    pub by_name: BTreeMap<String, Command>,
    /// Program and arguments put in front of every command: a process that ends the command when this one dies. Empty
    /// runs commands directly.
    pub guard: Vec<String>,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What it looks at, for people.
    pub description: String,
    /// Program and arguments; `{name}` stands for the value of an argument.
    pub argv: Vec<String>,
    /// Arguments that a target may give.
    pub args: BTreeMap<String, Argument>,
    /// Environment that it always has, beside `PATH` and `LANG`.
    pub env: BTreeMap<String, String>,
    /// The same for values that are shown nowhere.
    pub secret_env: BTreeMap<String, Secret>,
    /// Variables that a target may set, as secrets.
    pub secrets: Vec<String>,
    /// Folder in which it runs.
    pub cwd: String,
}

/// An argument that a target may give.
#[derive(Clone, Debug, Default)]
pub struct Argument {
    /// Its value where a target gives none; without one the target must.
    pub default: Option<String>,
    /// What the whole value must match.
    pub pattern: Option<Regex>,
    /// What it means, for people.
    pub description: String,
}

impl PartialEq for Argument {
    fn eq(&self, other: &Self) -> bool {
        let pattern = |a: &Self| a.pattern.as_ref().map(|r| r.as_str().to_owned());
        (&self.default, &self.description, pattern(self)) == (&other.default, &other.description, pattern(other))
    }
}

impl Eq for Argument {}

/// A part of an argument of the template.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Literal(&'a str),
    Value(&'a str),
}

/// What is run for a target. `Debug` shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The environment but `PATH` and `LANG`, as far as it may be seen.
    pub env: BTreeMap<String, String>,
    /// The rest of the environment: these values are masked in what the command prints.
    pub secret_env: BTreeMap<String, Secret>,
    /// Folder in which it runs.
    pub cwd: String,
}

/// A command to run once.
pub struct Run<'a> {
    /// Its name.
    pub name: &'a str,
    /// Arguments, by name.
    pub args: &'a [(String, String)],
    /// Secret variables, by name.
    pub secrets: &'a [(String, Secret)],
    /// Further variables.
    pub env: &'a [(String, String)],
    /// What it reads on its standard input; at most [`MAX_INPUT_BYTES`].
    pub input: &'a [u8],
    /// When it is ended.
    pub limit: Duration,
}

/// What is wrong with what a target gives: its key and a sentence.
pub type Wrong = (String, String);

impl Commands {
    /// What is wrong with how a target names its command and fills it in; nothing for targets that name none.
    #[must_use]
    pub fn problems(&self, target: &Target) -> Vec<Problem> {
        if target.kind == crate::kinds::exec::KIND.name {
            crate::kinds::exec::problems(target, self)
        } else {
            Vec::new()
        }
    }

    /// Runs a command once, with something to read, for whoever looks at nothing: to tell people.
    ///
    /// # Errors
    /// Tool missing when it cannot be run, timed out after `run.limit`, reported when it ends otherwise than with 0.
    pub async fn run(&self, run: &Run<'_>, clock: &dyn Clock) -> Result<(), Fault> {
        crate::kinds::exec::errand::run(self, run, clock).await.map(drop)
    }

    /// Runs a command once and answers what it printed on its standard output.
    ///
    /// # Errors
    /// As [`Commands::run`], and too large when it printed more than 64 KiB.
    pub async fn ask(&self, run: &Run<'_>, clock: &dyn Clock) -> Result<Vec<u8>, Fault> {
        let printed = crate::kinds::exec::errand::run(self, run, clock).await?;
        if printed.cut {
            let words = format!("the command {} printed more than 64 KiB", run.name);
            return Err(Fault::new(FaultKind::TooLarge, Phase::Command, words));
        }
        Ok(printed.bytes)
    }

    /// The command of this name.
    ///
    /// # Errors
    /// A sentence that tells which names there are.
    pub fn get(&self, name: &str) -> Result<&Command, String> {
        self.by_name.get(name).ok_or_else(|| {
            let names = || self.by_name.keys().map(String::as_str);
            match (self.by_name.is_empty(), model::conf::words::nearest(name, names())) {
                (true, _) => format!("there is no command {name:?}: no file names any commands"),
                (false, Some(near)) => format!("there is no command {name:?}; did you mean {near}?"),
                (false, None) => {
                    format!("there is no command {name:?}; there are {}", names().collect::<Vec<_>>().join(", "))
                }
            }
        })
    }
}

impl Command {
    /// Names in braces of the template, in order.
    ///
    /// # Errors
    /// A sentence about the first brace that belongs to no name.
    pub fn names(&self) -> Result<Vec<String>, String> {
        let mut found = Vec::new();
        for text in &self.argv {
            for part in parts(text)? {
                if let Part::Value(name) = part {
                    found.push(name.to_owned());
                }
            }
        }
        Ok(found)
    }

    /// Puts a target's arguments and secrets in.
    ///
    /// # Errors
    /// Everything that is wrong with them, by key.
    pub fn fill(&self, args: &[(String, String)], secrets: &[(String, Secret)]) -> Result<Filled, Vec<Wrong>> {
        let mut wrong = Vec::new();
        for (name, value) in args {
            match self.args.get(name) {
                None => wrong.push((format!("args.{name}"), self.unknown(name, "argument", self.args.keys()))),
                Some(argument) => wrong.extend(argument.refuses(value).map(|e| (format!("args.{name}"), e))),
            }
        }
        for (name, value) in secrets {
            let key = format!("secrets.{name}");
            if !self.secrets.contains(name) {
                wrong.push((key, self.unknown(name, "secret", self.secrets.iter())));
            } else if value.expose().contains('\0') || value.expose().len() > MAX_VALUE_BYTES {
                wrong.push((key, format!("the value holds a null character or more than {MAX_VALUE_BYTES} bytes")));
            }
        }
        let mut values = BTreeMap::new();
        for (name, argument) in &self.args {
            let given = args.iter().find(|(n, _)| n == name).map(|(_, v)| v);
            match given.or(argument.default.as_ref()) {
                Some(value) => drop(values.insert(name.as_str(), value.as_str())),
                None => wrong.push(("args".to_owned(), format!("the argument {name} is missing"))),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let argv = self.argv.iter().map(|text| fill(text, &values)).collect::<Result<Vec<_>, _>>();
        let argv = argv.map_err(|e| vec![("args".to_owned(), e)])?;
        let mut secret_env = self.secret_env.clone();
        secret_env.extend(secrets.iter().cloned());
        Ok(Filled { argv, env: self.env.clone(), secret_env, cwd: self.cwd.clone() })
    }

    fn unknown<'a>(&self, name: &str, what: &str, known: impl Iterator<Item = &'a String>) -> String {
        let known: Vec<&str> = known.map(String::as_str).collect();
        match known.as_slice() {
            [] => format!("the command takes no {what}s, and {name} is given"),
            some => format!("the command has no {what} {name}; it takes {}", some.join(", ")),
        }
    }
}

impl Argument {
    /// Why a value is not accepted.
    #[must_use]
    pub fn refuses(&self, value: &str) -> Option<String> {
        if value.len() > MAX_VALUE_BYTES {
            return Some(format!("the value has {} bytes, at most {MAX_VALUE_BYTES} are accepted", value.len()));
        }
        if value.contains(char::is_control) {
            return Some("the value holds a control character".to_owned());
        }
        let pattern = self.pattern.as_ref()?;
        // Compiled between anchors by whoever made it.
        (!pattern.is_match(value)).then(|| format!("{value:?} is not of the form that the command asks for"))
    }
}

/// Compiles what a whole value must match.
///
/// # Errors
/// What is wrong with the expression, in words.
pub fn pattern(text: &str) -> Result<Regex, String> {
    // Alone first: brackets that close nothing would otherwise undo the anchors.
    Regex::new(text).and_then(|_| Regex::new(&format!("^(?:{text})$"))).map_err(|e| e.to_string())
}

/// `text` with its values. A value that begins an argument may not make an option of it.
fn fill(text: &str, values: &BTreeMap<&str, &str>) -> Result<String, String> {
    let mut out = String::new();
    for part in parts(text)? {
        match part {
            Part::Literal(text) => out.push_str(text),
            Part::Value(name) => {
                let value = values.get(name).copied().ok_or_else(|| format!("the argument {name} is not declared"))?;
                if out.is_empty() && value.starts_with('-') && value.parse::<f64>().is_err() {
                    return Err(format!(
                        "the value of {name} begins with a dash and would be an option of the command"
                    ));
                }
                out.push_str(value);
            }
        }
    }
    Ok(out)
}

/// Literal text and `{name}` in turn; `{{` and `}}` are braces.
fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        if !before.is_empty() {
            found.push(Part::Literal(before));
        }
        if from.starts_with("{{") || from.starts_with("}}") {
            found.push(Part::Literal(&from[..1]));
            rest = &from[2..];
            continue;
        }
        let inner = from.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        let Some((name, after)) = inner.filter(|(name, _)| is_name(name)) else {
            return Err(format!("{text:?}: write {{name}} for an argument, and {{{{ or }}}} for a brace itself"));
        };
        found.push(Part::Value(name));
        rest = after;
    }
    if !rest.is_empty() {
        found.push(Part::Literal(rest));
    }
    Ok(found)
}

/// Whether a text can name a command or an argument: `a-z0-9._-`, beginning with a letter or digit.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.');
    text.bytes().all(good) && !text.starts_with(['-', '.', '_']) && (1..=MAX_NAME_BYTES).contains(&text.len())
}

/// Variables that decide which code a program runs, or what this process promises of its environment. No target sets them.
const RESERVED: [&str; 4] = ["PATH", "LANG", "IFS", "ENV"];
/// Beginnings of such variables.
const RESERVED_PREFIXES: [&str; 8] = ["LD_", "LC_", "DYLD_", "PYTHON", "PERL", "RUBY", "BASH", "NODE_"];

/// Whether a variable may be left to targets: upper case letters, digits and `_`, and none that changes what is run.
#[must_use]
pub fn is_free_variable(name: &str) -> bool {
    is_variable(name) && !RESERVED.contains(&name) && !RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a text can name a variable.
#[must_use]
pub fn is_variable(name: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    name.bytes().all(good)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && (1..=MAX_NAME_BYTES).contains(&name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(argv: &[&str], args: &[(&str, Option<&str>, Option<&str>)]) -> Command {
        let args = args.iter().map(|(name, default, form)| {
            let form = form.map(|p| pattern(p).expect("a pattern"));
            ((*name).to_owned(), Argument { default: default.map(str::to_owned), pattern: form, ..Argument::default() })
        });
        Command {
            description: String::new(),
            argv: argv.iter().map(|s| (*s).to_owned()).collect(),
            args: args.collect(),
            env: BTreeMap::new(),
            secret_env: BTreeMap::new(),
            secrets: vec!["CHECK_PASSWORD".to_owned()],
            cwd: "/".to_owned(),
        }
    }

    fn fill(command: &Command, args: &[(&str, &str)]) -> Result<Vec<String>, String> {
        let args: Vec<_> = args.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        command.fill(&args, &[]).map(|f| f.argv).map_err(|e| format!("{e:?}"))
    }

    #[test]
    fn a_value_stays_one_argument_and_never_becomes_an_option() {
        let disk = command(
            &["/p/check", "-w", "{warn}", "-p={path}", "{{x}}"],
            &[("warn", Some("20%"), None), ("path", None, None)],
        );
        let hostile = "; rm -rf / `id` $(id) \"'\\ *";
        assert_eq!(
            fill(&disk, &[("path", hostile)]).expect("fits"),
            ["/p/check", "-w", "20%", &format!("-p={hostile}"), "{x}"]
        );
        for (args, part) in [
            (&[("path", "/"), ("warn", "--extra-opts=x")][..], "begins with a dash"),
            (&[], "the argument path is missing"),
            (&[("path", "a\nb")], "control character"),
            (&[("path", "/"), ("pathh", "/")], "no argument pathh; it takes path, warn"),
        ] {
            let told = fill(&disk, args).expect_err("refused");
            assert!(told.contains(part), "{told}");
        }
        assert!(fill(&disk, &[("path", "--x"), ("warn", "-5")]).is_ok(), "a negative number is no option");
    }

    #[test]
    fn a_pattern_is_matched_as_a_whole() {
        let disk = command(&["/p", "{n}"], &[("n", None, Some("[0-9]{1,3}%?|all"))]);
        assert!(["5%", "100", "all"].iter().all(|v| fill(&disk, &[("n", v)]).is_ok()));
        assert!(["", "5%x", "x5", "5%\n", "alla", "-5"].iter().all(|v| fill(&disk, &[("n", v)]).is_err()));
        assert!(pattern("a)|(b").is_err() && pattern("(").is_err());
    }

    #[test]
    fn secrets_go_into_the_environment_and_only_those_that_are_declared() {
        let c = command(&["/p"], &[]);
        let secret = |name: &str| vec![(name.to_owned(), Secret::new("hunter2"))];
        let filled = c.fill(&[], &secret("CHECK_PASSWORD")).expect("declared");
        assert_eq!(filled.secret_env["CHECK_PASSWORD"].expose(), "hunter2");
        assert!(!format!("{filled:?}").contains("hunter2"));
        assert!(c.fill(&[], &secret("LD_PRELOAD")).is_err());
        assert!(
            ["LD_PRELOAD", "PATH", "PYTHONPATH", "PERL5OPT", "BASH_ENV", "LC_ALL", "9A", "A-B", ""]
                .iter()
                .all(|n| !is_free_variable(n))
        );
        assert!(is_free_variable("SNMP_COMMUNITY"));
    }

    #[test]
    fn braces_name_arguments_or_are_told() {
        assert!(["{", "}", "{}", "{A}", "a{b", "{a b}", "{-a}"].iter().all(|t| parts(t).is_err()));
        assert_eq!(parts("a{b}c"), Ok(vec![Part::Literal("a"), Part::Value("b"), Part::Literal("c")]));
        assert_eq!(command(&["x", "{b}{a}", "{b}"], &[]).names(), Ok(vec!["b".into(), "a".into(), "b".into()]));
    }

    #[test]
    fn an_unknown_name_is_told_with_the_nearest() {
        let mut commands = Commands::default();
        assert!(commands.get("disk").expect_err("none").contains("no file names any"));
        commands.by_name.insert("disk".to_owned(), command(&["/p"], &[]));
        assert!(commands.get("disc").expect_err("none").contains("did you mean disk?"));
        assert!(commands.get("disk").is_ok());
        assert!(["disk", "a.b-c_d", "0"].iter().all(|n| is_name(n)));
        assert!(["", "A", "-a", ".a", "a b", "a/b", "ä"].iter().all(|n| !is_name(n)));
    }
}
