//! MQTT: the status as a whole at an interval, a retained topic per stream, events, alerts, and Home Assistant discovery.
//!
//! One task owns the connection and reconnects it; what waits is bounded, because it is not kept: a stream that changed is
//! noted once, and what is said of it is made from the newest Board when its turn comes. Only events wait as they are, and
//! the oldest give way. Opens no socket itself ([`net`] does), and knows neither engine nor pages.
//!
//! Topics, with the base `streampulse`: `streampulse/status` (all streams, the shape of `/api/status`),
//! `streampulse/stream/ID` (retained), `streampulse/events`, `streampulse/alerts`, `streampulse/availability` (`online` or
//! `offline`, retained; the last will), `streampulse/index` (retained: what is published for which streams, so that it can be
//! taken back after a restart), `streampulse/test` (the test button).

mod client;
mod desk;
mod discovery;
mod documents;
mod keys;
mod link;
mod session;
mod settings;
mod trial;

pub use client::{Feed, Handle, start};
pub use desk::StatusJson;
pub use documents::alert_json;
pub use keys::FIELDS;
pub use settings::{DEFAULT_BASE, Settings};
pub use trial::{Tried, test};
pub use wire::mqtt::{Qos, Version};

/// Name in the registry, and of the kind.
pub const NAME: &str = "mqtt";
