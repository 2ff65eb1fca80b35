//! The one integration binary: the product as users meet it, through its command line, its HTTP and a real browser.

#![allow(clippy::print_stderr, reason = "a skipped test says so loudly, a failed one says what it saw")]
#![allow(clippy::disallowed_methods, reason = "the product runs in real time here")]

mod alerts;
mod attack;
mod browser;
mod cli;
mod daily;
mod exec;
mod held;
mod http;
mod influx;
mod mqtt;
mod people;
mod prometheus;
mod push;
mod reload;
mod secrets;
mod services_api;
mod site;
mod support;
mod survive;
mod truth;
mod units_kill;
mod unruly;
mod watch;
