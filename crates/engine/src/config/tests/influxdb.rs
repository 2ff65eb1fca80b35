//! The section `influxdb`.

use std::time::Duration;

use sink::influx::Place;

use super::{check, good};

#[test]
fn the_section_is_taken_whole_and_none_is_none() {
    assert_eq!(good("targets: []").influxdb, None);
    assert_eq!(good("influxdb:\n").influxdb, None);
    let text = "influxdb: {url: 'http://h:8086', version: 2, org: o, bucket: b, token: hidden-word, interval: 5s, tags: {site: north}, buffer: 1MiB}";
    let settings = good(text).influxdb.expect("a section");
    assert!(matches!(&settings.place, Place::Bucket { org: Some(o), bucket, .. } if o == "o" && bucket == "b"));
    assert_eq!((settings.interval, settings.buffer), (Duration::from_secs(5), 1 << 20));
    assert_eq!(settings.tags, [("site".to_owned(), "north".to_owned())]);
    assert!(!format!("{:?}", good(text)).contains("hidden-word"));
}

#[test]
fn problems_name_the_section() {
    check(
        "influxdb:\n  url: http://h\n  databse: d\n  interval: soon\n",
        &[
            "neither a database nor a bucket",
            "influxdb.databse: unknown key databse (did you mean database?)",
            "\"soon\" is no duration",
        ],
    );
    check("influxdb: 3", &["expected a mapping", "url is missing", "neither a database"]);
}
