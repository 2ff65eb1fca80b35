//! The body of a message within the bound of a service: what is known, the targets, what they explain, the link. Owns what is
//! left out first: lists before sentences, and the link last; what is left out is counted.

use model::alert::Notification;

use super::{link, one_line, subject_line, time_line};
use crate::channel::Around;

/// How a service wants its text.
#[derive(Clone, Copy)]
pub struct Style {
    /// Escapes what the service would take for markup.
    pub escape: fn(&str) -> String,
    /// How the service measures length.
    pub measure: fn(&str) -> usize,
    /// Most that it takes, by that measure.
    pub most: usize,
    /// Whether the link is part of the text; where a service has a field for it, it is not.
    pub link: bool,
}

/// Length in letters.
#[must_use]
pub fn chars(text: &str) -> usize {
    text.chars().count()
}

/// Length in bytes of UTF-8.
#[must_use]
pub fn bytes(text: &str) -> usize {
    text.len()
}

/// Length in units of UTF-16.
#[must_use]
pub fn utf16(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Put before the lines of a list.
const BULLET: &str = "- ";
/// Kept free for "and N more", which is written after the lists were cut.
const REST_ROOM: usize = 40;

/// What is told beside the headline, line by line and escaped, never longer than the style allows.
#[must_use]
pub fn body(n: &Notification, around: &Around, style: Style) -> String {
    let mut foot: Vec<String> = Vec::new();
    if let Some(note) = n.note.as_deref().filter(|note| !note.is_empty()) {
        foot.push(fit(&format!("Note: {}", one_line(note)), style.most / 8, style));
    }
    if style.link
        && let Some(link) = link(n, around)
    {
        let link = (style.escape)(&link);
        // Half a link leads nowhere.
        if (style.measure)(&link) <= style.most / 4 {
            foot.push(link);
        }
    }
    let foot_length: usize = foot.iter().map(|line| (style.measure)(line) + 1).sum();
    let room = style.most.saturating_sub(foot_length);

    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    let mut push = |line: String, reserve: usize| {
        let length = (style.measure)(&line) + 1;
        let fits = used + length + reserve <= room;
        if fits {
            used += length;
            lines.push(line);
        }
        fits
    };
    if !n.text.is_empty() {
        push(fit(n.text.trim_end(), room / 2, style), 0);
    }
    push((style.escape)(&time_line(n, &around.zone)), 0);
    let mut left = n.more;
    for (title, list) in [("", &n.subjects), ("This explains:", &n.explains)] {
        let mut told = title.is_empty();
        for (i, subject) in list.iter().enumerate() {
            let line = fit(&format!("{BULLET}{}", subject_line(subject, &around.zone)), room / 4, style);
            if !told {
                told = push((style.escape)(title), (style.measure)(&line) + 1 + REST_ROOM);
            }
            if !told || !push(line, REST_ROOM) {
                left += list.len() - i;
                break;
            }
        }
    }
    if left > 0 {
        push((style.escape)(&format!("{BULLET}and {left} more")), 0);
    }
    lines.extend(foot);
    lines.join("\n")
}

/// The text, escaped, cut so that it has at most `room` by the style's measure.
#[must_use]
pub(crate) fn fit(text: &str, room: usize, style: Style) -> String {
    let whole = (style.escape)(text);
    if (style.measure)(&whole) <= room {
        return whole;
    }
    let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    let shorter = |count: usize| format!("{}…", (style.escape)(text[..ends[count]].trim_end()));
    // How many letters fit: escaping only ever lengthens, so longer beginnings never fit where shorter ones do not.
    let count =
        ends.partition_point(|at| (style.measure)(&(style.escape)(&text[..*at])) + (style.measure)("…") <= room);
    if count == 0 { String::new() } else { shorter(count - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::{around, notification, subject};

    const PLAIN: Style = Style { escape: str::to_owned, measure: chars, most: 4000, link: true };

    #[test]
    fn everything_is_told_where_there_is_room() {
        assert_eq!(
            body(&notification(), &around(), PLAIN),
            "It does not answer.\nSince 2025-11-17 12:00:00 UTC.\n\
             - Gate (Entrance): down since 2025-11-17 12:00:00 UTC - connection refused by 10.0.0.5:554\n\
             This explains:\n\
             - Yard (Entrance): down since 2025-11-17 12:00:00 UTC - no answer within 8 s\n\
             - and 3 more\nhttps://watch.example/stream/gate"
        );
    }

    #[test]
    fn lists_are_left_out_first_and_counted_and_the_bound_holds_by_every_measure() {
        let mut n = notification();
        n.text = "Zürich & <co> 🎥 ".repeat(300);
        n.explains = (0..500).map(|i| subject(&format!("Kamera {i} <&> 🎥"), &"why ".repeat(40))).collect();
        n.note = Some("seen\nby @everyone".repeat(100));
        let escape = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        for most in [120, 250, 512, 1024, 3000, 4096] {
            for measure in [chars, bytes, utf16] {
                let text = body(&n, &around(), Style { escape, measure, most, link: true });
                assert!(measure(&text) <= most, "{} of {most}", measure(&text));
                assert!(!text.contains('<'), "{text}");
                assert!(most < 250 || text.ends_with("https://watch.example/stream/gate"), "{text}");
                let told = text.lines().filter(|line| line.starts_with(BULLET)).count();
                let left =
                    text.lines().find_map(|l| l.strip_prefix("- and ")?.strip_suffix(" more")?.parse::<usize>().ok());
                if let Some(left) = left {
                    assert_eq!(told - 1 + left, 1 + 500 + 3, "{text}");
                }
            }
        }
    }

    #[test]
    fn cutting_never_exceeds_its_room() {
        let style = Style { escape: |text| text.replace('&', "&amp;"), ..PLAIN };
        for room in 0..20 {
            assert!(chars(&fit("a&b&c&d", room, style)) <= room, "{room}");
        }
        assert_eq!(fit("a&b&c&d", 9, style), "a&amp;b…");
    }
}
