//! What a stream consists of, and how that changed, in words. What a look did not learn is no change.

use model::reading::{Media, Reading};

/// One track as far as a viewer would notice a change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    media: Media,
    codec: String,
    size: Option<(u32, u32)>,
}

/// The tracks of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape(Vec<Part>);

impl Shape {
    /// The shape that a reading shows; `None` when it shows no track.
    pub(crate) fn of(reading: &Reading) -> Option<Self> {
        let part =
            |t: &model::reading::Track| Part { media: t.media, codec: t.codec.clone(), size: t.width.zip(t.height) };
        (!reading.tracks.is_empty()).then(|| Self(reading.tracks.iter().map(part).collect()))
    }

    /// Becomes `new`; answers what is different, in words. A size that the newer look did not learn stays known.
    pub(crate) fn update(&mut self, mut new: Self) -> Option<String> {
        if self.0.len() == new.0.len() {
            for (old, new) in self.0.iter().zip(&mut new.0) {
                if old.media == new.media && old.codec == new.codec {
                    new.size = new.size.or(old.size);
                }
            }
        }
        let same_tracks = self.0.len() == new.0.len()
            && self.0.iter().zip(&new.0).all(|(a, b)| a.media == b.media && a.codec == b.codec);
        let resized = |(a, b): (&Part, &Part)| match (a.size, b.size) {
            (Some(x), Some(y)) if x != y => Some(format!("{} size is {}x{}, was {}x{}", a.media, y.0, y.1, x.0, x.1)),
            _ => None,
        };
        let text = if same_tracks {
            let texts: Vec<String> = self.0.iter().zip(&new.0).filter_map(resized).collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        } else {
            Some(format!("tracks are {}, were {}", new.words(), self.words()))
        };
        *self = new;
        text
    }

    fn words(&self) -> String {
        let word = |p: &Part| match p.size {
            Some((w, h)) => format!("{} {} {w}x{h}", p.media, p.codec),
            None => format!("{} {}", p.media, p.codec),
        };
        self.0.iter().map(word).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use model::reading::Track;

    use super::*;

    /// `video h264 640x360` per track, by comma; empty for none.
    fn reading(text: &str) -> Reading {
        let mut reading = Reading::default();
        for part in text.split(", ").filter(|p| !p.is_empty()) {
            let mut words = part.split(' ');
            let media = Media::from_word(words.next().expect("media")).expect("media");
            let mut track = Track::new(media, words.next().expect("codec"));
            if let Some((w, h)) = words.next().and_then(|s| s.split_once('x')) {
                (track.width, track.height) = (w.parse().ok(), h.parse().ok());
            }
            reading.tracks.push(track);
        }
        reading
    }

    #[test]
    fn only_what_was_learned_counts_as_a_change() {
        for (before, after, wanted) in [
            ("video h264 640x360", "video h264 640x360", None),
            ("video h264 640x360", "video h264", None),
            ("video h264", "video h264 640x360", None),
            ("video h264 640x360", "video h264 1280x720", Some("video size is 1280x720, was 640x360")),
            (
                "video h264 640x360",
                "video hevc 640x360",
                Some("tracks are video hevc 640x360, were video h264 640x360"),
            ),
            ("video h264, audio aac", "video h264", Some("tracks are video h264, were video h264, audio aac")),
        ] {
            let mut shape = Shape::of(&reading(before)).expect("tracks");
            let got = shape.update(Shape::of(&reading(after)).expect("tracks"));
            assert_eq!(got.as_deref(), wanted, "{before} to {after}");
        }
        assert!(Shape::of(&reading("")).is_none());
    }

    #[test]
    fn a_size_that_was_not_seen_once_is_still_known() {
        let mut shape = Shape::of(&reading("video h264 640x360")).expect("tracks");
        assert_eq!(shape.update(Shape::of(&reading("video h264")).expect("tracks")), None);
        let text = shape.update(Shape::of(&reading("video h264 320x180")).expect("tracks"));
        assert_eq!(text.as_deref(), Some("video size is 320x180, was 640x360"));
    }
}
