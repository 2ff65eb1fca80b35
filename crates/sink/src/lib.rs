//! L2: how to tell the outside. A sink is told of the Board and of events and passes them on (MQTT, InfluxDB); a channel
//! delivers one notification to people (e-mail, chat services, webhooks).
//!
//! A sink owns its connection and its bounded queue, and costs nobody else anything when its peer is slow or dead. How each
//! one is stands in the [`registry::Registry`]. Nothing here judges, and nothing here knows the store or the engine.

pub mod channel;
pub mod channels;
pub mod influx;
pub mod message;
pub mod mqtt;
mod post;
pub mod registry;
mod template;
mod veil;
