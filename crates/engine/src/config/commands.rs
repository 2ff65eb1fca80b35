//! The file of commands: what targets of the kind `exec` may name. A file of its own that no request over HTTP can write:
//! who may define a command is who may write files on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use model::conf::{Field, Problem, Section, Type};
use model::secret::Secret;
use probe::commands::{Argument, Command, Commands, is_free_variable, is_name, is_variable, pattern};

use super::env::expand;
use super::load::in_order;
use super::tree::Item;
use super::{ConfigFile, Env, parse};

/// Longest argument of a template, in bytes.
const MAX_ARGUMENT_BYTES: usize = 4096;
/// Most commands: each is written by hand.
const MAX_COMMANDS: usize = 1000;
/// Permission bits with which others than the owner could define commands.
const OTHERS_WRITE: u32 = 0o022;

const NAME: Type = Type::Text { max: 64 };
const WORDS: Type = Type::Text { max: 400 };

/// Keys of the file.
pub(super) static COMMANDS: [Field; 1] = [Field::new(
    "commands",
    Type::MapOf(&Type::Section(&COMMAND)),
    "Commands by name: lower case letters, digits, `.`, `_` and `-`.",
)];

/// Keys of a command.
pub(super) static COMMAND: [Field; 7] = [
    Field::new("description", WORDS, "What it looks at, for people.").default(""),
    Field::new("argv", Type::List(&Type::Text { max: MAX_ARGUMENT_BYTES }), "Program, by its whole path, and arguments, one per item. `{name}` stands for the value of an argument; `{{` and `}}` are braces. No shell reads it.").required(),
    Field::new("args", Type::MapOf(&Type::Section(&ARGUMENT)), "Arguments that targets may give, by name."),
    Field::new("env", Type::MapOf(&Type::Text { max: MAX_ARGUMENT_BYTES }), "Environment variables that it always has. There are `PATH`, `LANG=C` and `LC_ALL=C` besides, and nothing else."),
    Field::new("secret_env", Type::MapOf(&Type::Secret), "The same for values that are masked in what the command prints."),
    Field::new("secrets", Type::List(&NAME), "Environment variables that targets may set. Variables that decide which code is run are refused."),
    Field::new("cwd", Type::Text { max: MAX_ARGUMENT_BYTES }, "Folder in which it runs.").default("/"),
];

/// Keys of an argument.
pub(super) static ARGUMENT: [Field; 3] = [
    Field::new("description", WORDS, "What it means, for people.").default(""),
    Field::new(
        "default",
        Type::Text { max: MAX_ARGUMENT_BYTES },
        "Its value where a target gives none. Without a default, targets must give it.",
    ),
    Field::new(
        "pattern",
        Type::Text { max: MAX_ARGUMENT_BYTES },
        "Regular expression that the whole value must match. With or without, a value that begins an argument may not begin with a dash, unless it is a number.",
    ),
];

/// Where the commands are when nobody says: `commands.yaml` beside the configuration file.
#[must_use]
pub fn commands_default(config: &Path) -> PathBuf {
    config.with_file_name("commands.yaml")
}

/// Reads and checks the commands of a file. `named` says that somebody asked for this file: without, its absence means that
/// there are no commands. Blocks on the disk.
///
/// # Errors
/// Every problem at once, also when others than its owner may write the file.
pub fn commands(path: &Path, named: bool, env: Env<'_>) -> Result<Commands, Vec<Problem>> {
    if !named && !path.exists() {
        return Ok(Commands::default());
    }
    let (text, _) = ConfigFile::new(path).read().map_err(|problem| vec![problem])?;
    let mode = fs::metadata(path).map(|data| data.permissions().mode()).unwrap_or_default();
    if mode & OTHERS_WRITE != 0 {
        let message =
            format!("others than its owner may write this file (mode {:03o}), and it says what is run", mode & 0o777);
        return Err(vec![Problem::new(None, "", message).with_remedy("chmod go-w FILE")]);
    }
    commands_of(&text, env)
}

/// Checks the text of a file of commands. Pure.
///
/// # Errors
/// Every problem at once, in the order of the file.
pub fn commands_of(text: &str, env: Env<'_>) -> Result<Commands, Vec<Problem>> {
    let mut root = parse::parse(text)?.unwrap_or_else(Item::empty_map);
    let mut problems = Vec::new();
    let expansion = expand(&mut root, env);
    let node = root.node_of(&COMMANDS);
    Section::check(&node, &COMMANDS, "", &mut problems);
    let none = Item::empty_map();
    let all = root.get("commands").filter(|item| item.is_map()).unwrap_or(&none);
    let mut by_name = BTreeMap::new();
    for entry in all.entries() {
        let path = format!("commands.{}", entry.key);
        if !is_name(&entry.key) {
            let problem = Problem::new(Some(entry.key_place), &path, format!("{:?} cannot name a command", entry.key));
            problems.push(
                problem.with_remedy("lower case letters, digits, `.`, `_` and `-`, beginning with a letter or digit"),
            );
        }
        if let Some(command) = command(&entry.value, &path, &mut problems) {
            by_name.insert(entry.key.clone(), command);
        }
    }
    if by_name.len() > MAX_COMMANDS {
        problems.push(Problem::new(Some(all.place), "commands", format!("more than {MAX_COMMANDS} commands")));
    }
    let problems = in_order(expansion.clean(problems, &mut Vec::new()));
    if problems.is_empty() { Ok(Commands { by_name, guard: Vec::new() }) } else { Err(problems) }
}

fn command(item: &Item, path: &str, problems: &mut Vec<Problem>) -> Option<Command> {
    let before = problems.len();
    let node = item.node_of(&COMMAND);
    let section = Section::check(&node, &COMMAND, path, problems);
    let mut wrong = |key: &str, message: String, remedy: &str| {
        problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy(remedy));
    };
    let (mut args, mut slips) = (BTreeMap::new(), Vec::new());
    for entry in item.get("args").into_iter().flat_map(Item::entries) {
        let mut own = Vec::new();
        let read = argument(&entry.value, &format!("{path}.args.{}", entry.key), &mut own);
        slips.extend(own);
        match read {
            Ok(argument) if is_name(&entry.key) => drop(args.insert(entry.key.clone(), argument)),
            Ok(_) => wrong("args", format!("{:?} cannot name an argument", entry.key), "lower case letters and digits"),
            Err(message) => wrong("args", format!("{}: {message}", entry.key), "see the command's other arguments"),
        }
    }
    let (env, secret_env, secrets) = (section.pairs("env"), section.pairs("secret_env"), section.texts("secrets"));
    for (name, _) in env.iter().chain(&secret_env).filter(|(name, _)| !is_variable(name)) {
        wrong("env", format!("{name:?} cannot name a variable"), "letters, digits and `_`");
    }
    for name in secrets.iter().filter(|name| !is_free_variable(name)) {
        wrong("secrets", format!("{name:?} cannot be left to targets"), "a name of its own, such as CHECK_PASSWORD");
    }
    let cwd = section.text("cwd").unwrap_or_default();
    if !cwd.starts_with('/') {
        wrong("cwd", format!("{cwd:?} is no whole path"), "a path that begins with a slash");
    }
    let secret_env = secret_env.into_iter().map(|(name, value)| (name, Secret::new(value))).collect();
    let env = env.into_iter().collect();
    let description = section.text("description").unwrap_or_default();
    let command = Command { description, argv: section.texts("argv"), args, env, secret_env, secrets, cwd };
    match command.argv.first() {
        Some(program) if program.starts_with('/') && !program.contains(['{', '}']) => {}
        Some(program) => wrong(
            "argv",
            format!("{program:?} is no whole path of a program"),
            "write it as in /usr/lib/nagios/plugins/check_disk",
        ),
        None if section.node("argv").is_none() => {} // told as missing
        None => wrong("argv", "there is no program".to_owned(), "give its whole path and its arguments, one per item"),
    }
    match command.names() {
        Err(message) => wrong("argv", message, "one name in each pair of braces"),
        Ok(names) => {
            for name in names.iter().filter(|name| !command.args.contains_key(*name)) {
                wrong("argv", format!("{{{name}}} is none of the command's args"), "declare it under args");
            }
            for name in command.args.keys().filter(|name| !names.contains(name)) {
                wrong("args", format!("{name} stands nowhere in argv"), "use it, or remove it");
            }
        }
    }
    problems.extend(slips);
    (problems.len() == before).then_some(command)
}

fn argument(item: &Item, path: &str, problems: &mut Vec<Problem>) -> Result<Argument, String> {
    let node = item.node_of(&ARGUMENT);
    let section = Section::check(&node, &ARGUMENT, path, problems);
    let form = section.text("pattern").map(|text| pattern(&text)).transpose();
    let argument = Argument {
        default: section.text("default"),
        pattern: form.map_err(|e| format!("the pattern is no regular expression: {e}"))?,
        description: section.text("description").unwrap_or_default(),
    };
    match argument.default.as_ref().and_then(|value| argument.refuses(value)) {
        Some(message) => Err(format!("the default: {message}")),
        None => Ok(argument),
    }
}
