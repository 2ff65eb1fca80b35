//! MQTT against real Mosquitto: every way in, both versions, what is published, and what happens when the broker does not
//! behave. Brokers that are killed or stopped are the test's own.

mod listeners;
mod published;
mod support;
mod trouble;
