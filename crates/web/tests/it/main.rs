//! The server as a browser, a program and an attacker meet it: real sockets on free ports, a real engine and a real
//! history in a folder of its own.

mod alerts;
mod attacks;
mod compat;
mod config;
mod crowd;
mod events;
mod live;
mod metrics;
mod people;
mod probe_route;
mod rig;
mod secrets;
mod sections;
mod service_logs;
mod services;
mod staged;
mod streaming;
mod table;
mod targets;
mod tls;
