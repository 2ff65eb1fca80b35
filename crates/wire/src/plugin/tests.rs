//! Output of plugins as the convention shows it and as real ones bend it.

use super::*;

fn words(output: &Output) -> Vec<String> {
    let show = |n: Option<f64>| n.map_or("-".to_owned(), |n| n.to_string());
    let range = |r: Option<Range>| r.map_or("-".to_owned(), |r| r.to_string());
    let line = |v: &Value| {
        let (warn, crit) = (range(v.warn), range(v.crit));
        format!("{}={}[{}] {warn} {crit} {} {}", v.label, show(v.value), v.unit, show(v.min), show(v.max))
    };
    output.values.iter().map(line).collect()
}

#[test]
fn the_first_line_is_words_and_values() {
    for (text, message, values) in [
        (
            "PING ok - Packet loss = 0%, RTA = 0.80 ms | percent_packet_loss=0, rta=0.80",
            "PING ok - Packet loss = 0%, RTA = 0.80 ms",
            vec!["percent_packet_loss=0[] - - - -", "rta=0.8[] - - - -"],
        ),
        (
            "DISK OK|/=2643MB;5948;5958;0;5968 /boot=68MB;88;93;0;98",
            "DISK OK",
            vec!["/=2643[MB] 5948 5958 0 5968", "/boot=68[MB] 88 93 0 98"],
        ),
        (
            "LOAD|load1=0.03;5.0;10:;0; 'a b'=1c 'it''s'=2",
            "LOAD",
            vec!["load1=0.03[] 5 10: 0 -", "a b=1[c] - - - -", "it's=2[] - - - -"],
        ),
        (
            "T|t=-3.5C;~:4;@1:2 u=U x=1e3s y=1EB z=+.5%;;;0;100",
            "T",
            vec![
                "t=-3.5[C] ~:4 @1:2 - -",
                "u=-[] - - - -",
                "x=1000[s] - - - -",
                "y=1[EB] - - - -",
                "z=0.5[%] - - 0 100",
            ],
        ),
        ("no bar", "no bar", vec![]),
        ("", "", vec![]),
        ("  tabs\there \x07| ", "tabs here", vec![]),
    ] {
        let output = parse(text.as_bytes());
        assert_eq!(output.message, message, "{text}");
        assert_eq!(words(&output), values, "{text}");
        assert_eq!(output.long, "", "{text}");
    }
}

#[test]
fn longer_text_and_values_of_many_lines_are_told_apart() {
    let text = "DISK OK - free space | /=1MB\n/ 15272 MB (77%);\n/boot 68 MB (69%); | /boot=2MB\n/home=3MB;4;5\r\n'/var/log'=6MB\n";
    let output = parse(text.as_bytes());
    assert_eq!(output.message, "DISK OK - free space");
    assert_eq!(output.long, "/ 15272 MB (77%);\n/boot 68 MB (69%);");
    let labels: Vec<_> = output.values.iter().map(|v| v.label.as_str()).collect();
    assert_eq!(labels, ["/", "/boot", "/home", "/var/log"]);
    assert_eq!(output.left_out, 0);
}

#[test]
fn what_is_no_value_is_counted_and_hides_no_neighbour() {
    let output = parse(b"x | nonsense a= b=zz c=1 =2 'open=3 d=4");
    assert_eq!(words(&output), ["c=1[] - - - -"]);
    assert_eq!(output.left_out, 5, "{output:?}");
    let inf = parse(b"x|a=inf b=nan c=1;inf;nan");
    assert_eq!(words(&inf), ["c=1[] - - - -"]);
    let many = format!("x|{}", "a=1 ".repeat(MAX_VALUES + 7));
    let output = parse(many.as_bytes());
    assert_eq!((output.values.len(), output.left_out), (MAX_VALUES, 7));
}

#[test]
fn ranges_report_what_the_convention_says() {
    for (text, reported, quiet) in [
        ("10", &[-0.1, 10.1][..], &[0.0, 10.0][..]),
        ("10:", &[9.9], &[10.0, 1e9]),
        ("~:10", &[10.1], &[-1e9, 10.0]),
        ("10:20", &[9.0, 21.0], &[10.0, 20.0]),
        ("@10:20", &[10.0, 20.0], &[9.0, 21.0]),
        ("-5:-1", &[0.0, -6.0], &[-3.0]),
    ] {
        let range = Range::parse(text).expect(text);
        assert!(reported.iter().all(|v| range.reports(*v)), "{text}");
        assert!(!quiet.iter().any(|v| range.reports(*v)), "{text}");
        assert_eq!(range.to_string(), text);
    }
    assert!(["", "20:10", "a", "1:b", ":5", "@", "inf", "1:2:3"].iter().all(|t| Range::parse(t).is_none()));
}

#[test]
fn texts_are_bounded_and_whole_letters() {
    let output = parse("ö".repeat(MAX_TEXT_BYTES).as_bytes());
    assert!(output.message.len() <= MAX_TEXT_BYTES && output.message.chars().all(|c| c == 'ö'));
    let output = parse(format!("x\n{}", "long line\n".repeat(MAX_TEXT_BYTES)).as_bytes());
    assert!(output.long.len() <= MAX_TEXT_BYTES);
    assert_eq!(parse(b"\xff\xfe").message, "\u{fffd}\u{fffd}");
}
