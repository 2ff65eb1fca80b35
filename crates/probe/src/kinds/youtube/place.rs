//! From the address of a video or a channel to the addresses of the API. Owns the forms that people copy from their browsers
//! and the paths and parameters of every question.

use model::address::Address;

/// Where the API is, for addresses of the site.
const API: &str = "https://www.googleapis.com/";
/// Where tokens are renewed, for addresses of the site.
const TOKENS: &str = "https://oauth2.googleapis.com/token";
/// Hosts of the site: pages for people, not the API.
const SITE: [&str; 4] = ["youtube.com", "www.youtube.com", "m.youtube.com", "studio.youtube.com"];
/// The host of short addresses.
const SHORT: &str = "youtu.be";
/// Newest uploads of a channel that are searched for one that is live.
const UPLOADS: u32 = 10;
/// Most active broadcasts of an account that are listed: the API's own limit.
const BROADCASTS: u32 = 50;

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A video or broadcast, by its id.
    Video(String),
    /// A channel by its id, `UC...`.
    Channel(String),
    /// A channel by its handle, `@name`.
    Handle(String),
}

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) what: What,
    pub(super) api: Address,
    /// Where access tokens are renewed.
    pub(super) tokens: Address,
}

impl Place {
    /// Reads `https://www.youtube.com/watch?v=ID`, `/live/ID`, `/embed/ID`, `/channel/UC...`, `/@name`, `https://youtu.be/ID`,
    /// and the same paths on any other host, which is taken for the API. `None` when the address names none.
    pub(super) fn of(address: &Address) -> Option<Self> {
        let url = address.expose_url();
        let mut parts = url.path().split('/').filter(|part| !part.is_empty());
        let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let video = |id: &str| is_id(id, 6, 20).then(|| What::Video(id.to_owned()));
        let what = match first {
            _ if address.host() == SHORT => video(first),
            "watch" => video(&url.query_pairs().find(|(name, _)| name == "v")?.1),
            "live" | "embed" | "video" | "shorts" => video(second),
            "channel" => (second.starts_with("UC") && is_id(second, 3, 40)).then(|| What::Channel(second.to_owned())),
            handle => {
                handle.strip_prefix('@').filter(|name| is_id(name, 1, 60)).map(|_| What::Handle(handle.to_owned()))
            }
        };
        let site = SITE.contains(&address.host()) || address.host() == SHORT;
        let own = |path| address.join(path).ok().map(|address| address.with_credentials(None));
        let (api, tokens) = match site {
            true => (Address::parse(API).ok()?, Address::parse(TOKENS).ok()?),
            false => (own("/")?, own("/token")?),
        };
        Some(Self { what: what?, api, tokens })
    }

    /// A broadcast by its id, for its owner.
    pub(super) fn broadcast(&self, id: &str) -> String {
        format!("liveBroadcasts?part=id,snippet,status,contentDetails&id={id}")
    }

    /// The broadcasts of the account that are on the air.
    pub(super) fn broadcasts(&self) -> String {
        let parts = "liveBroadcasts?part=id,snippet,status,contentDetails";
        format!("{parts}&broadcastStatus=active&broadcastType=all&maxResults={BROADCASTS}")
    }

    /// What YouTube receives from the encoder. The key of the stream is a part of this resource, so the parts that are wanted
    /// are named one by one.
    pub(super) fn stream(&self, id: &str) -> String {
        format!("liveStreams?part=id,status,cdn&fields=items(id,status,cdn(resolution,frameRate))&id={id}")
    }

    /// Videos by their ids, for everybody.
    pub(super) fn videos(&self, ids: &str) -> String {
        format!("videos?part=id,snippet,liveStreamingDetails&id={ids}")
    }

    /// A channel and the list of its uploads.
    pub(super) fn channel(&self) -> Option<String> {
        let by = match &self.what {
            What::Video(_) => return None,
            What::Channel(id) => format!("id={id}"),
            What::Handle(name) => format!("forHandle={name}"),
        };
        Some(format!("channels?part=id,contentDetails&{by}"))
    }

    /// The newest uploads in a list.
    pub(super) fn uploads(&self, list: &str) -> String {
        format!("playlistItems?part=contentDetails&maxResults={UPLOADS}&playlistId={list}")
    }
}

/// Whether a text can be an id: what may stand in a query as it is.
pub(super) fn is_id(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_site_and_of_the_api() {
        let video = |id: &str| Some(What::Video(id.to_owned()));
        for (url, expected) in [
            ("https://www.youtube.com/watch?v=jfKfPfyJRdk&t=3", video("jfKfPfyJRdk")),
            ("https://youtube.com/live/jfKfPfyJRdk?feature=share", video("jfKfPfyJRdk")),
            ("https://youtu.be/jfKfPfyJRdk", video("jfKfPfyJRdk")),
            ("https://studio.youtube.com/video/jfKfPfyJRdk/livestreaming", video("jfKfPfyJRdk")),
            ("http://proxy:81/live/jfKfPfyJRdk", video("jfKfPfyJRdk")),
            (
                "https://www.youtube.com/channel/UCSJ4gkVC6NrvII8umztf0Ow/live",
                Some(What::Channel("UCSJ4gkVC6NrvII8umztf0Ow".to_owned())),
            ),
            ("https://www.youtube.com/@LofiGirl/live", Some(What::Handle("@LofiGirl".to_owned()))),
            ("https://www.youtube.com/", None),
            ("https://www.youtube.com/watch", None),
            ("https://www.youtube.com/watch?v=a%26id=b%20", None),
            ("https://www.youtube.com/channel/notone", None),
            ("https://www.youtube.com/@", None),
            ("https://www.youtube.com/feed/subscriptions", None),
        ] {
            let place = Place::of(&Address::parse(url).expect(url));
            assert_eq!(place.map(|place| place.what), expected, "{url}");
        }
        let at = |url| Place::of(&Address::parse(url).expect(url)).expect("a video");
        let site = at("https://youtu.be/jfKfPfyJRdk");
        assert_eq!((site.api.to_string().as_str(), site.tokens.to_string().as_str()), (API, TOKENS));
        let own = at("http://u:p@127.0.0.1:81/live/jfKfPfyJRdk?token=x");
        assert_eq!(
            (own.api.to_string().as_str(), own.tokens.to_string().as_str()),
            ("http://127.0.0.1:81/", "http://127.0.0.1:81/token")
        );
    }
}
