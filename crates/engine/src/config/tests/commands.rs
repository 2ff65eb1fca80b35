//! The file of commands: what it may say, and what targets may make of it.

use std::sync::Arc;

use super::lines;
use crate::config::{Overrides, commands_of, load};

const GOOD: &str = "\
commands:
  disk:
    description: Free space
    argv: [/usr/lib/nagios/plugins/check_disk, -w, '{warn}', -p, '{path}']
    args:
      warn: {default: 20%, pattern: '[0-9]{1,2}%', description: Percent that is too little}
      path: {}
    env: {HOME: /tmp}
    secret_env: {KEY: '${KEY}'}
    secrets: [PW]
    cwd: /var
";

fn env(name: &str) -> Option<String> {
    (name == "KEY").then(|| "from outside".to_owned())
}

#[test]
fn a_command_is_read_whole() {
    let commands = commands_of(GOOD, &env).expect("good");
    let disk = &commands.by_name["disk"];
    assert_eq!((disk.description.as_str(), disk.cwd.as_str(), disk.argv.len()), ("Free space", "/var", 5));
    assert_eq!(disk.secret_env["KEY"].expose(), "from outside");
    assert!(!format!("{commands:?}").contains("from outside"));
    assert!(disk.args["warn"].refuses("200%").is_some() && disk.args["warn"].refuses("5%").is_none());
    assert!(commands_of("# nothing yet\n", &env).expect("good").by_name.is_empty());
}

#[test]
fn every_slip_is_told_with_its_place() {
    for (text, words) in [
        ("commands: {d: {argv: [check_disk]}}", "is no whole path"),
        ("commands: {d: {argv: ['/bin/{x}'], args: {x: {}}}}", "is no whole path"),
        ("commands: {d: {argv: []}}", "there is no program"),
        ("commands: {d: {}}", "argv is missing"),
        ("commands: {d: {argv: [/p, '{x}']}}", "{x} is none of the command's args"),
        ("commands: {d: {argv: [/p], args: {x: {}}}}", "x stands nowhere in argv"),
        ("commands: {d: {argv: [/p, '{']}}", "for an argument"),
        ("commands: {d: {argv: [/p, '{x}'], args: {x: {pattern: '('}}}}", "no regular expression"),
        ("commands: {d: {argv: [/p, '{x}'], args: {x: {pattern: '[a-z]', default: '1'}}}}", "the default"),
        ("commands: {D: {argv: [/p]}}", "cannot name a command"),
        ("commands: {d: {argv: [/p], secrets: [LD_PRELOAD]}}", "cannot be left to targets"),
        ("commands: {d: {argv: [/p], env: {'A B': x}}}", "cannot name a variable"),
        ("commands: {d: {argv: [/p], cwd: tmp}}", "is no whole path"),
        ("commands: {d: {argv: [/p], shell: true}}", "unknown key shell"),
        ("commands: {d: {argv: [/p, '{x}'], args: {x: {pattren: a}}}}", "did you mean pattern?"),
        ("command: {}", "did you mean commands?"),
        ("commands: [a]", "expected"),
    ] {
        let told = commands_of(text, &env).expect_err(text);
        assert!(lines(&told).contains(words), "{text}: {told:#?}");
    }
}

#[test]
fn targets_name_what_is_there_and_fill_it_in() {
    let commands = Arc::new(commands_of(GOOD, &env).expect("good"));
    let known = Overrides { commands: Some(commands), ..Overrides::default() };
    let target = |rest: &str| format!("targets:\n  - name: D\n    url: exec://disk\n{rest}");
    assert!(load(&target("    args: {path: /}\n    secrets: {PW: x}\n"), &env, &known).is_ok());
    for (text, words) in [
        (target(""), "line 2, column 5: targets[0].args: the argument path is missing"),
        (target("    args: {path: /, warn: 200%}\n"), "line 4, column 27: targets[0].args.warn"),
        (target("    args: {path: --help}\n"), "begins with a dash"),
        (target("    args: {path: /}\n    secrets: {PWD: x}\n"), "no secret PWD; it takes PW"),
        (
            "targets:\n  - name: D\n    url: exec://disc\n".to_owned(),
            "line 3, column 10: targets[0].url: there is no command \"disc\"; did you mean disk?",
        ),
    ] {
        let told = load(&text, &env, &known).expect_err(&text);
        assert!(lines(&told).contains(words), "{words}: {}", lines(&told));
        assert!(load(&text, &env, &Overrides::default()).is_ok(), "where the commands are not known, nothing is said");
    }
    let none = Overrides { commands: Some(Arc::default()), ..Overrides::default() };
    let told = load(&target(""), &env, &none).expect_err("no commands");
    assert!(lines(&told).contains("no file names any commands"));
}
