//! Home Assistant's discovery by MQTT: one device per stream with four entities, each announced by a retained message of its
//! own, which every version of Home Assistant understands. Owns names and forms of these messages; says nothing itself.
//!
//! <https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery>: an empty retained message on the same topic takes an
//! entity back.

use std::time::Duration;

use model::target::Target;
use serde_json::{Value, json};

use super::settings::Settings;

/// A state that was not said anew within this time counts as unavailable: three times [`super::desk::REFRESH`].
const EXPIRE_AFTER: Duration = Duration::from_secs(180);
const _: () = assert!(EXPIRE_AFTER.as_secs() >= 3 * super::desk::REFRESH.as_secs());

/// An entity of every stream.
struct Entity {
    /// Home Assistant's word for the sort.
    component: &'static str,
    /// Its name within the device, in topics.
    object: &'static str,
    /// Its name for people.
    name: &'static str,
    /// What it is in addition to what all have.
    own: fn() -> Value,
}

/// `None` is Home Assistant's word for "not known".
const ENTITIES: [Entity; 4] = [
    Entity {
        component: "binary_sensor",
        object: "connectivity",
        name: "Connectivity",
        own: || {
            json!({ "device_class": "connectivity",
                "value_template": "{{ {true: 'ON', false: 'OFF'}.get(value_json.connected, 'None') }}" })
        },
    },
    Entity {
        component: "binary_sensor",
        object: "problem",
        name: "Problem",
        own: || {
            json!({ "device_class": "problem",
                "value_template": "{{ {true: 'ON', false: 'OFF'}.get(value_json.problem, 'None') }}" })
        },
    },
    Entity {
        component: "sensor",
        object: "latency",
        name: "Latency",
        own: || {
            json!({ "device_class": "duration", "state_class": "measurement", "unit_of_measurement": "ms",
                "value_template": "{{ value_json.latency_ms }}" })
        },
    },
    Entity {
        component: "sensor",
        object: "bitrate",
        name: "Bit rate",
        own: || {
            json!({ "device_class": "data_rate", "state_class": "measurement", "unit_of_measurement": "kbit/s",
                "value_template": "{{ value_json.bitrate_kbps }}" })
        },
    },
];

/// Name of the device of a stream: letters, digits, `_` and `-` alone, as topics of discovery want it. Different bases and
/// different ids have different names: where a letter was replaced, a number made of the whole is added.
fn node(base: &str, id: &str) -> String {
    let whole = format!("{base}/{id}");
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let mut name: String = whole.chars().map(|c| if fits(c) { c } else { '_' }).collect();
    let replaced = whole.chars().filter(|c| !fits(*c)).count() > 1 || base.contains('_');
    if replaced {
        // FNV-1a: the same in every version, since names must not change.
        let hash = whole.bytes().fold(0x811c_9dc5_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193));
        name = format!("{name}_{hash:08x}");
    }
    name
}

/// Topics on which a stream is announced.
pub(super) fn topics(base: &str, prefix: &str, id: &str) -> Vec<String> {
    let node = node(base, id);
    ENTITIES.iter().map(|e| format!("{prefix}/{}/{node}/{}/config", e.component, e.object)).collect()
}

/// The messages that announce a stream: topic and payload.
pub(super) fn messages(settings: &Settings, prefix: &str, target: &Target) -> Vec<(String, Vec<u8>)> {
    let id = target.id.as_str();
    let node = node(&settings.base, id);
    let topic = settings.stream_topic(&target.id);
    let device = json!({
        "identifiers": [node],
        "name": target.name,
        "manufacturer": "StreamPulse",
        "model": format!("{} stream", target.kind),
    });
    let all = ENTITIES.iter().zip(topics(&settings.base, prefix, id)).map(|(entity, config)| {
        let mut payload = json!({
            "name": entity.name,
            "unique_id": format!("{node}_{}", entity.object),
            "object_id": format!("{node}_{}", entity.object),
            "state_topic": topic,
            "json_attributes_topic": topic,
            "json_attributes_template": "{{ {'status': value_json.status, 'reason': value_json.reason, 'since': value_json.since} | tojson }}",
            "availability": [{ "topic": settings.availability_topic() }],
            "expire_after": EXPIRE_AFTER.as_secs(),
            "qos": settings.qos.number(),
            "device": device,
            "origin": { "name": "StreamPulse", "sw_version": env!("CARGO_PKG_VERSION") },
        });
        if let (Value::Object(all), Value::Object(own)) = (&mut payload, (entity.own)()) {
            all.extend(own);
        }
        (config, payload.to_string().into_bytes())
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let names = [
            ("streampulse", "gate"),
            ("streampulse", "ga.te"),
            ("streampulse", "ga_te"),
            ("streampulse", "ga-te"),
            ("a/b", "gate"),
            ("a_b", "gate"),
            ("a", "b_gate"),
        ];
        let made: std::collections::BTreeSet<String> = names.iter().map(|(base, id)| node(base, id)).collect();
        assert_eq!(made.len(), names.len(), "{made:?}");
        assert!(made.iter().all(|n| n.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')), "{made:?}");
        assert_eq!(node("streampulse", "front-gate"), "streampulse_front-gate");
    }
}
