//! The test button: connects with given settings under a name of its own, publishes one message to the test topic and says
//! what came of it. Disturbs no connection that stands and keeps nothing.

use std::time::Duration;

use bytes::BytesMut;
use model::time::Clock;
use tokio::time::Instant;
use wire::mqtt::{self, Packet, Publish, Qos};

use super::documents::time;
use super::link::{self, Link, refusal};
use super::settings::Settings;

/// Longest test after the connection stands; connecting has [`link::CONNECT_WITHIN`].
const TEST_WITHIN: Duration = Duration::from_secs(5);
/// Number of the one message.
const ID: u16 = 1;

/// What a test brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// How long it took.
    pub took: Duration,
    /// The broker as it was reached, without user and password.
    pub broker: String,
    /// The topic that was published to.
    pub topic: String,
    /// Why it failed; `None` when the broker confirmed the message.
    pub error: Option<String>,
}

/// Tries the settings. Ends within 15 seconds.
pub async fn test(settings: &Settings, clock: &dyn Clock) -> Tried {
    let began = Instant::now();
    let topic = settings.below("test");
    let error = attempt(settings, clock, &topic).await.err();
    Tried { took: began.elapsed(), broker: settings.broker(), topic, error }
}

async fn attempt(settings: &Settings, clock: &dyn Clock, topic: &str) -> Result<(), String> {
    // Under the configured name it would throw out the connection that stands.
    let mut link = link::open(settings, clock, &link::made_up_id(), None).await?;
    let text = format!("{{\"at\":\"{}\",\"text\":\"StreamPulse can publish here\"}}", time(clock.utc()));
    let told = tokio::time::timeout(TEST_WITHIN, publish(settings, &mut link, topic, text.as_bytes())).await;
    let told = told
        .unwrap_or_else(|_| Err(format!("the broker did not confirm the message within {} s", TEST_WITHIN.as_secs())));
    let _ = tokio::time::timeout(TEST_WITHIN, link.outgoing.part()).await;
    told
}

async fn publish(settings: &Settings, link: &mut Link, topic: &str, payload: &[u8]) -> Result<(), String> {
    let qos = Qos::AtLeastOnce.min(link.bounds.maximum_qos);
    let mut out = BytesMut::new();
    let packet = Publish { topic, payload, qos, retain: false, again: false, id: ID };
    if !mqtt::publish(settings.version, &packet, &mut out) {
        return Err("the topic is too long".to_owned());
    }
    // With a quality of 0 nothing confirms it; the answer to a ping behind it says that it was read.
    mqtt::ping(&mut out);
    link.outgoing.put(&out);
    link.outgoing.finish().await?;
    loop {
        while let Some(packet) = link.incoming.packet()? {
            match packet {
                Packet::PubAck(outcome) if outcome.code >= 0x80 => {
                    return Err(format!(
                        "the broker takes no message on {topic}: {}",
                        refusal(settings, false, outcome.code, None)
                    ));
                }
                Packet::PubAck(_) => return Ok(()),
                Packet::PingResp if qos == Qos::AtMostOnce => return Ok(()),
                Packet::Disconnect { code, words } => {
                    let why = refusal(settings, false, code, words.as_deref());
                    return Err(format!("the broker closed the connection: {why}"));
                }
                _ => {}
            }
        }
        if !link.incoming.read().await? {
            return Err("the broker closed the connection after the message; it may not allow this topic".to_owned());
        }
    }
}
