//! What is hidden, and what comes back.

use super::*;

const FILE: &str = r##"# cameras; old one: rtsp://a:hunter0@old/ and
#   password: hunter00
defaults: {interval: 10s}
targets:
  - name: Door   # the front
    url: rtsp://u:hunter1@10.0.0.5:554/s1?token=hunter2&x=1 # seen
  - id: lab
    name: Lab
    url: "http://10.0.0.6/\u0061?key=hunter3"
    headers:
      Authorization: Bearer hunter4
      Accept: "*/*"
    password: 'hunter5'
  - name: Env
    url: rtsp://${U:-adm}:${PW}@h/
    password: ${PW}
  - name: EnvDefault
    url: rtsp://${U:-adm}:${PW:-hunter6}@h/
  - name: Slash
    url: rtsp://u:hun/ter7@h/x
  - name: Folded
    url: >-
      rtsp://u:hunter8@h/y
  - name: AllEnv
    url: ${ALL:-rtsp://u:hunter9@h/z}
server: {session_hours: 12, tls: {cert: /c.pem, key: /k.pem}}
mqtt:
  host: broker
  password: |
    hunter10
"##;

#[test]
fn nothing_secret_is_left_and_everything_comes_back() {
    let hidden = hide(FILE);
    assert!(!hidden.contains("hunter") && !hidden.contains("hun/ter7"), "{hidden}");
    for kept in ["# the front", "# seen", "session_hours: 12", "key: /k.pem", "${PW}@h", "Accept: \"*/*\"", "x=1"] {
        assert!(hidden.contains(kept), "{kept} is gone:\n{hidden}");
    }
    assert_eq!(hide(&hidden), hidden, "hiding twice changes nothing");
    let back = restore(&hidden, FILE).expect("all known");
    let (a, b) = (super::tree::parse(&back).expect("yaml"), super::tree::parse(FILE).expect("yaml"));
    let strip = |item: &super::tree::Item| {
        let text = format!("{item:?}");
        let ranges: Vec<&str> = text.split("range: ").map(|part| part.split_once(" }").map_or(part, |p| p.1)).collect();
        ranges.concat().replace("plain: true", "").replace("plain: false", "").replace("\\n", "")
    };
    assert_eq!(strip(&a), strip(&b));
    for comment in ["hunter0@old", "hunter00"] {
        assert!(back.contains(comment), "{comment} lost:\n{back}");
    }
}

#[test]
fn a_mask_follows_its_target_and_not_its_position() {
    let old = "targets:\n- {name: A, url: 'rtsp://u:aaa1@h1/'}\n- {name: B, url: 'rtsp://u:bbb1@h2/'}\n";
    for (new, wanted) in [
        (
            "targets:\n- {name: B, url: 'rtsp://u:***@h2/'}\n- {name: A, url: 'rtsp://u:***@h1/'}\n",
            "targets:\n- {name: B, url: 'rtsp://u:bbb1@h2/'}\n- {name: A, url: 'rtsp://u:aaa1@h1/'}\n",
        ),
        (
            "targets:\n- {name: New name, url: 'rtsp://u:***@h1/'}\n",
            "targets:\n- {name: New name, url: 'rtsp://u:aaa1@h1/'}\n",
        ),
        ("targets:\n- {name: A, url: rtsp://u:***@h1/other}\n", "targets:\n- {name: A, url: rtsp://u:aaa1@h1/other}\n"),
    ] {
        assert_eq!(restore(new, old).as_deref(), Ok(wanted));
    }
}

#[test]
fn a_mask_never_carries_a_secret_to_another_host() {
    let old = "targets:\n- name: A\n  url: rtsp://u:aaa1@h1/\n  password: bbb1\n";
    for new in [
        "targets:\n- name: A\n  url: rtsp://u:***@evil/\n",
        "targets:\n- name: A\n  url: rtsp://evil/\n  password: '***'\n",
        "targets:\n- name: Z\n  url: rtsp://v:***@h1/\n",
    ] {
        let problems = restore(new, old).expect_err(new);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].place.is_some() && problems[0].remedy.is_some(), "{problems:?}");
    }
}

#[test]
fn odd_spellings_of_a_host_are_read_as_the_program_reads_them() {
    let old = "targets:\n- name: A\n  url: http://u:aaa1@good/\n  secret_headers: {Authorization: bbb1}\n";
    let which = Some(Which { id: "a", name: "A", position: 0 });
    for url in [
        r"http://u:***@evil\@good/",
        "http:evil/://good/",
        "http:/\t/evil/?x=http://good/",
        "http://good\t@evil/",
        "http://good\n@evil/",
        r"http:\\evil\x://good",
        r"http:\\u:***@evil\://u:***@good",
        "http:/u:***@evil/://u:***@good/",
        "http:///evil/?x=://good/",
        "http://${X:-evil/}@good/",
        "http://u:${X:-x@evil/}@good/",
        "http://${CAM}/",
        "${X:-http}:${X:-//evil/}?://good",
        "http://${X:-evil/\n}@good/",
    ] {
        let mut fields = serde_json::Map::new();
        fields.insert("url".to_owned(), url.into());
        fields.insert("secret_headers".to_owned(), serde_json::json!({"Authorization": "***"}));
        let _refused = restore_fields(&mut fields, old, which).expect_err(url);
        let all = serde_json::Value::from(fields).to_string();
        assert!(!all.contains("bbb1"), "{all}");
        let new = format!("targets:\n- name: A\n  url: {}\n  password: '***'\n", serde_json::json!(url));
        restore(&new, &old.replace("secret_headers: {Authorization: bbb1}", "password: bbb1")).expect_err(url);
    }
}

#[test]
fn secrets_that_a_change_of_host_leaves_in_the_file_must_be_written_anew() {
    let which = Some(Which { id: "lab", name: "Lab", position: 1 });
    for (fields, problems) in [
        (serde_json::json!({"url": "http://evil/"}), 2),
        (serde_json::json!({"url": "http://evil/", "password": "new", "headers": null}), 0),
        (serde_json::json!({"url": "http://10.0.0.6/elsewhere"}), 0),
    ] {
        let serde_json::Value::Object(mut map) = fields.clone() else { panic!("a map") };
        let found = restore_fields(&mut map, FILE, which).err().map_or(0, |p| p.len());
        assert_eq!(found, problems, "{fields}");
    }
}

#[test]
fn a_second_address_is_a_host_that_secrets_go_to_as_well() {
    let old = "targets:\n- {name: A, url: http://h1/, secondary: http://h2/, password: \"bbb1\"}\n- {name: B, url: http://h1/, password: \"bbb2\"}\n";
    for (name, position, fields, problems) in [
        ("A", 0, serde_json::json!({"secondary": "http://evil/"}), 1),
        ("A", 0, serde_json::json!({"secondary": "http://evil/", "password": "***"}), 1),
        ("A", 0, serde_json::json!({"secondary": "http://evil/", "password": "new"}), 0),
        ("A", 0, serde_json::json!({"secondary": "http://h2/other", "password": "***"}), 0),
        ("A", 0, serde_json::json!({"url": "http://h1/other", "password": "***"}), 0),
        ("A", 0, serde_json::json!({"url": "http://evil/"}), 1),
        ("B", 1, serde_json::json!({"secondary": "http://evil/"}), 1),
        ("B", 1, serde_json::json!({"interval": "5s"}), 0),
    ] {
        let serde_json::Value::Object(mut map) = fields.clone() else { panic!("a map") };
        let which = Some(Which { id: "none", name, position });
        let found = restore_fields(&mut map, old, which).err().map_or(0, |p| p.len());
        assert_eq!(found, problems, "{name} {fields}");
    }
    let hidden = hide(old);
    assert_eq!(restore(&hidden, old).expect("nothing moved"), old);
    let moved = hidden.replace("http://h2/", "http://evil/");
    let _refused = restore(&moved, old).expect_err("the whole file is no way round");
}

#[test]
fn only_comments_get_masked_lines_back() {
    let old = "# password: aaa1\ntargets:\n- name: A\n  headers:\n      Authorization: bbb1\n";
    let hidden = hide(old);
    let comment = hidden.lines().next().expect("a line");
    let key = hidden.lines().last().expect("a line");
    for text in [
        format!("  body: |\n{key}\n"),
        format!("  body: |\n   x\n   '{comment}\n"),
        format!("  ? '\n{key}\n  '\n  : 1\n"),
    ] {
        let back = restore(&format!("{hidden}{text}"), old).expect("no mask of a key");
        assert_eq!(back.matches("bbb1").count(), 1, "{back}");
    }
    let moved = format!("targets:\n- name: A\n  body: >\n{comment}\n\n    x\n{comment}\n");
    assert!(restore(&moved, old).is_ok());
    let block = old.replace("# password", "    # password");
    let hidden = hide(&block);
    let line = hidden.lines().next().expect("a line");
    let back = restore(&format!("{}- body: |\n{line}\n", hidden.replace(line, "")), &block).expect("no mask of a key");
    assert!(!back.contains("aaa1"), "{back}");
}

#[test]
fn odd_secrets_are_quoted_when_they_return() {
    let old = "targets:\n- name: A\n  url: \"rtsp://u:a'b\\\"c:d@h/\"\n";
    let hidden = hide(old);
    assert!(!hidden.contains("a'b"), "{hidden}");
    let plain = "targets:\n- name: A\n  url: rtsp://u:***@h/\n";
    let back = restore(plain, old).expect("known");
    let root = super::tree::parse(&back).expect("yaml");
    let super::tree::Item::Seq(items) = root.get("targets").expect("list") else { panic!("no list") };
    assert_eq!(items[0].get("url").and_then(|u| u.text()), Some("rtsp://u:a'b\"c:d@h/"));
}

#[test]
fn text_that_is_no_yaml_is_hidden_too() {
    let broken = "targets:\n - {url: rtsp://u:hunter1@h/\n   password: hunter2\n]";
    let hidden = hide(broken);
    assert!(!hidden.contains("hunter"), "{hidden}");
    assert_eq!(restore(&hidden, broken).as_deref(), Ok(broken));
}

#[test]
fn fields_of_a_form_get_their_secrets_back() {
    let json = |text: &str| serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).expect("json");
    let lab = Some(Which { id: "lab", name: "Lab", position: 1 });
    for (fields, wanted) in [
        (r#"{"url":"http://10.0.0.6/b?key=***"}"#, Some(r#"{"url":"http://10.0.0.6/b?key=hunter3"}"#)),
        (r#"{"password":"***"}"#, Some(r#"{"password":"hunter5"}"#)),
        (
            r#"{"headers":{"Accept":"x","Authorization":"***"}}"#,
            Some(r#"{"headers":{"Accept":"x","Authorization":"Bearer hunter4"}}"#),
        ),
        (r#"{"url":"http://evil/?key=***","headers":null,"password":null}"#, None),
        (r#"{"url":"http://evil/","password":"***","headers":null}"#, None),
        (r#"{"interval":"5s"}"#, Some(r#"{"interval":"5s"}"#)),
    ] {
        let mut map = json(fields);
        match (restore_fields(&mut map, FILE, lab), wanted) {
            (Ok(()), Some(wanted)) => assert_eq!(map, json(wanted), "{fields}"),
            (Err(problems), None) => assert_eq!(problems.len(), 1, "{fields}"),
            (other, _) => panic!("{fields}: {other:?}"),
        }
    }
    assert!(restore_fields(&mut json(r#"{"url":"rtsp://u:***@h/"}"#), FILE, None).is_err(), "a new target knows none");
}

#[test]
fn the_fields_of_a_target_are_shown_without_secrets() {
    let fields = fields_of(FILE, Which { id: "lab", name: "Lab", position: 1 }).expect("known");
    assert_eq!(fields["headers"]["Authorization"], "***");
    assert_eq!(fields["password"], "***");
    assert!(!fields.to_string().contains("hunter"), "{fields}");
    assert_eq!(
        fields_of(FILE, Which { id: "door", name: "Door", position: 0 }).expect("by name")["url"],
        "rtsp://u:***@10.0.0.5:554/s1?token=***&x=1"
    );
    assert_eq!(fields_of(FILE, Which { id: "none", name: "None", position: 99 }), None);
}

#[test]
fn a_password_with_a_space_is_hidden() {
    let old = "targets:\n- name: A\n  url: 'http://u:hun ter1@h/a b?token=hun ter2'\n";
    let hidden = hide(old);
    assert!(!hidden.contains("hun") && !hidden.contains("ter"), "{hidden}");
    let back = restore(&hidden, old).expect("known");
    assert!(back.contains("http://u:hun ter1@h/a b?token=hun ter2"), "{back}");
}

#[test]
fn words_from_elsewhere_are_cleaned() {
    for (text, shown) in [
        ("cannot open rtsp://u:pw1@h/x, sorry", "cannot open rtsp://u:***@h/x, sorry"),
        ("see http://h/?a=1&token=abc&b=2", "see http://h/?a=1&token=***&b=2"),
        ("srt://h:9?streamid=#!::r=x&pbkeylen=24&passphrase=p", "srt://h:9?streamid=***&pbkeylen=24&passphrase=***"),
        ("12:30 at a@b", "12:30 at a@b"),
        ("http://h:80/a@b", "http://h:80/a@b"),
    ] {
        assert_eq!(hide_in_words(text), shown);
    }
}

#[test]
fn the_public_learns_no_places() {
    for (text, shown) in [
        ("connection to 10.0.0.5:554 refused", "connection to … refused"),
        ("cannot open rtsp://u:p@cam.lan/x, sorry", "cannot open … sorry"),
        ("no answer within 1.5 s in phase connect", "no answer within 1.5 s in phase connect"),
        ("store: the disk is full", "store: the disk is full"),
        ("clock: the wall clock jumped forward by 3600.0 s", "clock: the wall clock jumped forward by 3600.0 s"),
        ("the certificate expires in 12.9 days", "the certificate expires in 12.9 days"),
        ("/var/lib/x.db is locked", "… is locked"),
        ("cam.example.org does not resolve", "… does not resolve"),
        ("[::1]:80 refused", "… refused"),
    ] {
        assert_eq!(without_places(text), shown);
    }
}

#[test]
fn every_secret_key_of_the_configuration_is_known_by_its_name() {
    use model::conf::{Field, Type};
    fn walk(fields: &[Field], seen: &mut usize) {
        for field in fields {
            match field.ty {
                Type::Secret | Type::MapOf(Type::Secret) | Type::List(Type::Secret) => {
                    *seen += 1;
                    assert!(is_secret_key(field.key), "{} would be shown", field.key);
                }
                Type::Section(inner) | Type::Sections(inner) => walk(inner, seen),
                _ => {}
            }
        }
    }
    let mut seen = 0;
    for section in engine::config::describe() {
        walk(&section.fields, &mut seen);
    }
    assert!(seen > 0, "the description names secret keys");
}

#[test]
fn comments_and_anchors_beside_a_secret_stay() {
    let text = "targets:\n  - name: A\n    url: http://h1/\n    password: 'hunter1'   # changed in May\n  - name: B\n    url: http://h2/\n    password: &pw hunter2\n  - name: C\n    url: \"http://u:hunter3@h3/\" # main\n    password: *pw\n";
    let hidden = hide(text);
    assert!(!hidden.contains("hunter"), "{hidden}");
    let back = restore(&hidden, text).expect("all known");
    for (what, shown) in [("hidden", &hidden), ("restored", &back)] {
        for kept in ["# changed in May", "&pw", "# main", "*pw"] {
            assert!(shown.contains(kept), "{kept} is gone when {what}:\n{shown}");
        }
    }
    for secret in ["hunter1", "hunter2", "hunter3"] {
        assert!(back.contains(secret), "{secret} did not come back:\n{back}");
    }
}
