//! What must hold for any text: nothing panics, nothing planted is shown, and passwords come back.

use proptest::prelude::*;

use super::*;

/// Pieces that make up awkward files. No lone quotes: what they would enclose is one text, whatever it looks like.
const PIECES: [&str; 24] = [
    "targets:\n",
    "- ",
    "  name: A\n",
    "  url: rtsp://u:plant1@h/x\n",
    "  url: 'http://h/?token=plant2&ü=1'\n",
    "  url: \"rtsp://u:pl\\u0061nt3@h/\"\n",
    "  password: plant4\n",
    "password: |\n    plant5\n",
    "# rtsp://u:plant6@h/\n",
    "#password: plant7\n",
    "${A:-rtsp://u:plant8@h/}",
    "${",
    "}",
    "://",
    "@",
    ":",
    "?key=",
    "***",
    "\n",
    "  ",
    "{",
    "]",
    "ü€",
    "rtsp://ü:plant9@[::1]:5/",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_hidden_without_panic(picks in prop::collection::vec(0..PIECES.len(), 0..14)) {
        let text: String = picks.iter().map(|i| PIECES[*i]).collect();
        let hidden = hide(&text);
        prop_assert!(!hidden.contains("plant"), "{}", hidden);
        let _ = restore(&hidden, &text);
        let _ = (hide_in_words(&text), without_places(&text));
    }

    #[test]
    fn a_password_of_any_letters_is_hidden_and_comes_back(secret in "[!-~&&[^@/?#\\\\]]{4,24}", quote in 0..3_usize) {
        prop_assume!(!secret.contains("${") && !secret.contains(MASK) && !"targets name url rtsp cam.lan".contains(&secret));
        let url = format!("rtsp://user:{secret}@cam.lan/live");
        let written = match quote {
            0 => serde_json::Value::from(url.as_str()).to_string(),
            1 => format!("'{}'", url.replace('\'', "''")),
            _ => url.clone(),
        };
        let text = format!("targets:\n- name: Cam\n  url: {written}\n");
        let hidden = hide(&text);
        prop_assert!(!hidden.contains(&secret), "{}", hidden);
        let back = restore(&hidden, &text).expect("the place is known");
        let url_in = |text: &str| {
            let root = tree::parse(text)?;
            let tree::Item::Seq(items) = root.get("targets")? else { return None };
            items.first()?.get("url")?.text().map(str::to_owned)
        };
        prop_assert_eq!(url_in(&back), url_in(&text));
    }
}
