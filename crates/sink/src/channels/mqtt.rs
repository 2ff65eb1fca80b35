//! Kind `mqtt`: the notification as JSON on a topic, through the connection that the section `mqtt` keeps. Delivered when the
//! broker has it; without a connection the message waits in the outbox.

use std::sync::{Arc, OnceLock};

use model::alert::Notification;
use model::conf::{Field, Problem, Section, Type};

use crate::channel::{Around, BoxFuture, Built, Channel, ChannelKind, Failure, Gear};
use crate::mqtt;

static FIELDS: [Field; 1] = [Field::new(
    "topic",
    Type::Text { max: 1024 },
    "Topic to publish on, in place of the topic of alerts below the prefix of the section `mqtt`.",
)];

/// The row of the table.
pub(crate) static KIND: ChannelKind = ChannelKind {
    name: "mqtt",
    summary: "A topic of MQTT, by the connection of the section `mqtt`",
    example: "\
name: broker
kind: mqtt
topic: house/alerts
",
    fields: &FIELDS,
    build,
};

struct Mqtt {
    topic: Option<String>,
    handle: Arc<OnceLock<mqtt::Handle>>,
}

fn build(section: &Section<'_>) -> Built {
    let topic = section.text("topic");
    let bad = |topic: &&String| topic.is_empty() || topic.contains(['+', '#', '\0']) || topic.starts_with('$');
    if let Some(topic) = topic.as_ref().filter(bad) {
        let message = format!("{topic:?} is no topic to publish on");
        let problem = Problem::new(section.place_of("topic"), section.path_of("topic"), message);
        return Err(vec![problem.with_remedy("a topic without + and #, such as house/alerts")]);
    }
    Ok(Box::new(Mqtt { topic, handle: Arc::default() }))
}

impl Mqtt {
    async fn deliver(&self, n: &Notification, around: &Around) -> Result<(), Failure> {
        let Some(handle) = self.handle.get() else {
            return Err(Failure::passing("publishing by MQTT has not begun"));
        };
        handle.alert(n, around.base_url.as_deref(), self.topic.clone()).await
    }
}

impl Channel for Mqtt {
    fn deliver<'a>(&'a self, n: &'a Notification, around: &'a Around) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(self.deliver(n, around))
    }

    fn equip(&mut self, gear: &Gear) {
        self.handle = Arc::clone(&gear.mqtt);
    }
}
