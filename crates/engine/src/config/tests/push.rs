//! Push targets in the file: their tokens, and what the thresholds of others mean for them.

use super::{check, good};

const TOKEN: &str = "3q2-7w_Hf9Kx0ZbV5nTjRe";

fn target(name: &str, rest: &str) -> String {
    format!("  - name: {name}\n    url: push://x\n{rest}")
}

#[test]
fn a_token_is_wanted_strong_and_its_own() {
    let one = |rest: &str| format!("targets:\n{}", target("A", rest));
    check(&one(""), &["targets[0].token: token is missing"]);
    check(&one("    token: hunter2\n"), &["line 4, column 12: targets[0].token: the token has 7 letters, 22 to 128"]);
    check(&one(&format!("    token: {}\n", "ab".repeat(20))), &["can be guessed"]);
    let token = format!("    token: {TOKEN}\n");
    good(&one(&token));
    let two = one(&token) + &target("B", &token);
    check(&two, &["targets[1].token: the token is that of targets[0] too"]);
    check(&format!("targets:\n  - name: A\n    url: push://x/{TOKEN}\n    token: {TOKEN}\n"), &["push:// and a name"]);
}

#[test]
fn one_missing_call_is_enough_unless_the_target_itself_says_more() {
    let text = |own: &str| {
        let target = target("A", &format!("    token: {TOKEN}\n{own}"));
        format!("defaults: {{fail_after: 5}}\ntargets:\n{target}  - {{name: T, url: 'tcp://h:1'}}\n")
    };
    let config = good(&text(""));
    assert_eq!((config.targets[0].rules.fail_after, config.targets[1].rules.fail_after), (1, 5));
    assert_eq!(good(&text("    fail_after: 3\n")).targets[0].rules.fail_after, 3);
}
