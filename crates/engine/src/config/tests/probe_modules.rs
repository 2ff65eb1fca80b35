//! The key `metrics.probe_modules`.

use std::time::Duration;

use super::{check, good};

const MODULES: &str = "metrics:
  probe_modules:
    - name: cams
      kind: rtsp
      allow: ['rtsp://*.cams.example:*', 'rtsp://10.1.0.0/16']
      target: {timeout: 3s, transport: tcp, expect: {video: true}}
";

#[test]
fn a_module_makes_targets_of_what_it_allows() {
    let config = good(MODULES);
    let module = &config.metrics.probe_modules[0];
    let target = module.target("rtsp://door.cams.example:8554/live").expect("allowed");
    assert_eq!((target.kind, target.timeout, target.expect.video), ("rtsp", Duration::from_secs(3), Some(true)));
    assert_eq!(target.address.host(), "door.cams.example");
    let other = module.target("rtsp://back.cams.example:8554/live").expect("allowed");
    let again = module.target("rtsp://door.cams.example:8554/live").expect("allowed");
    assert!(target.id != other.id && target.id == again.id && target.id.as_str().starts_with("_probe_"), "{target:?}");
    for (url, words) in [
        ("rtsp://cams.example/live", "does not allow this target"),
        ("rtsp://10.2.0.1/", "does not allow this target"),
        ("http://door.cams.example/", "does not allow this target"),
        ("rtsp://user:hunter2@door.cams.example/", "must not have a user"),
        ("door.cams.example", ""),
    ] {
        let said = module.target(url).expect_err(url);
        assert!(said.contains(words) && !said.contains("hunter2"), "{url}: {said}");
    }
    let reach = |host: &str, address: &str| module.may_reach(host, address.parse().expect("an address"));
    assert!(reach("door.cams.example", "8.8.8.8"), "a public address of a name that is allowed");
    assert!(reach("door.cams.example", "10.1.2.3"), "an address of a network that is allowed");
    assert!(!reach("door.cams.example", "127.0.0.1"), "a name that leads home");
    assert!(!reach("door.cams.example", "169.254.169.254"));
    assert!(!reach("elsewhere.example", "8.8.8.8"), "a host that a redirect leads to");
    assert!(reach("10.1.9.9", "10.1.9.9") && !reach("10.2.9.9", "10.2.9.9"));
}

#[test]
fn what_is_wrong_with_a_module_is_told_at_its_place() {
    for (from, to, words) in [
        ("kind: rtsp", "kind: exec", "\"exec\" is no kind that a module may have"),
        ("kind: rtsp", "kind: http", "the kind http cannot look at rtsp://"),
        ("timeout: 3s", "timeout: soon", "\"soon\" is no duration"),
        ("timeout: 3s", "url: 'rtsp://x/'", "url has no place in a module"),
        ("timeout: 3s", "password: hunter2", "credentials have no place in a module"),
        ("transport: tcp", "transprot: tcp", "unknown key transprot"),
        ("'rtsp://10.1.0.0/16'", "'rtsp://*'", "is no name, address or network"),
        ("name: cams", "naem: cams", "unknown key naem"),
    ] {
        let text = MODULES.replace(from, to);
        let problems = super::load(&text).expect_err(&text);
        let all = super::lines(&problems);
        assert!(all.contains(words) && all.contains("metrics.probe_modules[0]"), "{words}\n{all}");
    }
    let twice = format!("{MODULES}{}", MODULES.split_once("probe_modules:\n").expect("there").1);
    check(&twice, &["there are two modules of the name cams"]);
}
