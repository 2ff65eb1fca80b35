//! The table of kinds. A new kind is one file in the folder and its two lines here: the `mod` and the row, both in
//! alphabetical order.

use model::address::Address;

use crate::kind::Kind;

pub(crate) mod dash;
pub(crate) mod exec;
pub(crate) mod hls;
pub(crate) mod host;
pub(crate) mod http;
pub(crate) mod icecast;
pub(crate) mod mjpeg;
pub(crate) mod mpegts;
pub(crate) mod ping;
pub(crate) mod push;
pub(crate) mod rtmp;
pub(crate) mod rtsp;
pub(crate) mod srt;
pub(crate) mod tcp;
pub(crate) mod vimeo;
pub(crate) mod web_presenter;
pub(crate) mod youtube;

/// Every kind, by name.
pub static KINDS: &[&Kind] = &[
    &dash::KIND,
    &exec::KIND,
    &hls::KIND,
    &host::KIND,
    &http::KIND,
    &icecast::KIND,
    &mjpeg::KIND,
    &mpegts::KIND,
    &ping::KIND,
    &push::KIND,
    &rtmp::KIND,
    &rtsp::KIND,
    &srt::KIND,
    &tcp::KIND,
    &vimeo::KIND,
    &web_presenter::KIND,
    &youtube::KIND,
];

/// The kind of this name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|kind| kind.name == name)
}

/// The kind that fits an address best; `None` when no kind knows its scheme.
#[must_use]
pub fn guess(address: &Address) -> Option<&'static Kind> {
    let rated = KINDS.iter().filter(|kind| kind.schemes.contains(&address.scheme()));
    let best = rated.map(|kind| ((kind.guess)(address), *kind)).filter(|(rate, _)| *rate > 0);
    best.max_by_key(|(rate, _)| *rate).map(|(_, kind)| kind)
}
