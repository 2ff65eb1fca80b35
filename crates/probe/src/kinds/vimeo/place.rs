//! From the address of an event or a video to the addresses of the API. Owns the forms that people copy from their browsers.

use model::address::Address;

/// Where the API is, for addresses of the site.
const API: &str = "https://api.vimeo.com/";
/// Hosts of the site: pages for people, not the API.
const SITE: [&str; 3] = ["vimeo.com", "www.vimeo.com", "player.vimeo.com"];
/// Members that are asked for: fewer make a request count for less.
const EVENT_FIELDS: &str =
    "title,streamable_clip.live.status,streamable_video.live.status,live.status,embed.badges.live";
const VIDEO_FIELDS: &str = "name,live.status,embed.badges.live,status";

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Event,
    Video,
}

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// What tells its state.
    pub(super) state: Address,
    /// What tells the address of its playlist.
    pub(super) playback: Address,
}

impl Place {
    /// Reads `https://vimeo.com/event/4797083`, `https://vimeo.com/123`, `https://api.vimeo.com/live_events/4797083` and the
    /// same paths on any other host, which is taken for the API. `None` when the path names no event and no video.
    pub(super) fn of(address: &Address) -> Option<Self> {
        let url = address.expose_url();
        let parts: Vec<&str> = url.path().split('/').filter(|part| !part.is_empty()).collect();
        let site = SITE.contains(&address.host());
        let (at, what) = parts
            .iter()
            .enumerate()
            .find_map(|(at, part)| match *part {
                "event" | "events" | "live_events" => Some((at, What::Event)),
                "video" | "videos" => Some((at, What::Video)),
                _ => None,
            })
            .or_else(|| (site && is_id(parts.first()?)).then_some((usize::MAX, What::Video)))?;
        let id = parts.get(at.wrapping_add(1)).filter(|id| is_id(id))?;
        let base = if site { Address::parse(API).ok()? } else { address.clone().with_credentials(None) };
        // What stands in front of the names is a proxy's.
        let before = if site { &[] } else { &parts[..at.min(parts.len())] };
        let before: String = before.iter().filter(|part| **part != "me").map(|part| format!("/{part}")).collect();
        let (name, fields) = match what {
            What::Event => ("live_events", EVENT_FIELDS),
            What::Video => ("videos", VIDEO_FIELDS),
        };
        Some(Self {
            state: base.join(&format!("{before}/{name}/{id}?fields={fields}")).ok()?,
            playback: base.join(&format!("{before}/me/{name}/{id}/m3u8_playback")).ok()?,
        })
    }
}

fn is_id(part: &&str) -> bool {
    !part.is_empty() && part.len() <= 20 && part.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_site_and_of_the_api() {
        for (url, expected) in [
            ("https://vimeo.com/event/4797083", Some("https://api.vimeo.com/me/live_events/4797083/m3u8_playback")),
            (
                "https://vimeo.com/event/4797083/embed/x?y",
                Some("https://api.vimeo.com/me/live_events/4797083/m3u8_playback"),
            ),
            ("https://vimeo.com/76979871", Some("https://api.vimeo.com/me/videos/76979871/m3u8_playback")),
            ("https://vimeo.com/76979871/8272103f6e", Some("https://api.vimeo.com/me/videos/76979871/m3u8_playback")),
            ("https://player.vimeo.com/video/76979871", Some("https://api.vimeo.com/me/videos/76979871/m3u8_playback")),
            ("https://api.vimeo.com/me/live_events/1", Some("https://api.vimeo.com/me/live_events/1/m3u8_playback")),
            ("http://proxy:81/vimeo/videos/7", Some("http://proxy:81/vimeo/me/videos/7/m3u8_playback")),
            ("https://vimeo.com/", None),
            ("https://vimeo.com/channels/staffpicks", None),
            ("https://vimeo.com/event/me", None),
            ("http://proxy/123", None),
            ("http://proxy/event", None),
            ("http://proxy/videos/..", None),
        ] {
            let place = Place::of(&Address::parse(url).expect(url));
            assert_eq!(place.map(|place| place.playback.to_string()).as_deref(), expected, "{url}");
        }
        let place = Place::of(&Address::parse("http://u:p@proxy/live_events/5").expect("valid")).expect("an event");
        assert_eq!(place.state.credentials(), None);
        assert!(place.state.to_string().starts_with("http://proxy/live_events/5?fields=title,"), "{}", place.state);
    }
}
