//! The `server` section and the time zone: what may be listened on and by whom it may be used.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use model::conf::{Place, Problem, Section};

use super::fields::SERVER;
use super::tree::Item;
use super::{Overrides, Server, Tls};

/// Checks the section; `None` when it cannot be used (the problems say why).
pub(super) fn server(item: &Item, overrides: &Overrides, problems: &mut Vec<Problem>) -> Option<Server> {
    let node = item.node_of(&SERVER);
    let section = Section::check(&node, &SERVER, "server", problems);
    let listen = match &overrides.listen {
        Some(listen) => listen.clone(),
        None => listen(&section, problems),
    };
    let status_listen = match (overrides.status_listen, section.text("status_listen")) {
        (Some(address), _) => Some(address),
        (None, Some(text)) => address(&section, "status_listen", &text, problems),
        (None, None) => None,
    };
    if let Some(status) = status_listen.filter(|s| s.port() != 0 && listen.contains(s)) {
        let message = format!("{status} is in listen too");
        let problem = Problem::new(section.place_of("status_listen"), section.path_of("status_listen"), message);
        problems.push(problem.with_remedy("give the status a port of its own"));
    }
    let login = section.bool("login").unwrap_or(true);
    let open = listen.iter().find(|a| !a.ip().is_loopback());
    if let Some(open) = open.filter(|_| !login && !overrides.demo) {
        let message = format!("login may be off only on loopback addresses, and {open} is none");
        let problem = Problem::new(section.place_of("login"), section.path_of("login"), message);
        problems.push(problem.with_remedy("remove `login: false`, or listen on 127.0.0.1 only"));
    }
    let tls = tls(&section, problems);
    let session = section.duration("session").unwrap_or(Duration::ZERO);
    (!listen.is_empty()).then_some(Server { listen, status_listen, login, tls, session })
}

fn tls(section: &Section<'_>, problems: &mut Vec<Problem>) -> Option<Tls> {
    match (section.text("tls_cert"), section.text("tls_key")) {
        (Some(cert), Some(key)) => Some(Tls { cert: PathBuf::from(cert), key: PathBuf::from(key) }),
        (None, None) => None,
        (cert, _) => {
            let (there, missing) = if cert.is_some() { ("tls_cert", "tls_key") } else { ("tls_key", "tls_cert") };
            let message = format!("{there} is there and {missing} is not");
            let problem = Problem::new(section.place_of(there), section.path_of(missing), message);
            problems.push(problem.with_remedy("give both for HTTPS, or none"));
            None
        }
    }
}

fn listen(section: &Section<'_>, problems: &mut Vec<Problem>) -> Vec<SocketAddr> {
    let mut texts = section.texts("listen");
    if texts.is_empty() {
        if section.node("listen").is_some() {
            let message = "nothing to listen on";
            let problem = Problem::new(section.place_of("listen"), section.path_of("listen"), message);
            problems.push(problem.with_remedy("remove the key for 127.0.0.1:8000"));
        }
        texts.extend(section.text("listen").or_else(|| SERVER[0].default.map(str::to_owned)));
    }
    let mut found: Vec<SocketAddr> = Vec::new();
    for text in texts {
        let Some(address) = address(section, "listen", &text, problems) else { continue };
        if address.port() != 0 && found.contains(&address) {
            let problem =
                Problem::new(section.place_of("listen"), section.path_of("listen"), format!("{address} twice"));
            problems.push(problem.with_remedy("remove one"));
        }
        found.push(address);
    }
    found
}

fn address(section: &Section<'_>, key: &str, text: &str, problems: &mut Vec<Problem>) -> Option<SocketAddr> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok());
    let parsed = text.parse().ok().or_else(|| local.map(|port: u16| (Ipv4Addr::LOCALHOST, port).into()));
    if parsed.is_none() {
        let message = format!("{text:?} is no address with port");
        let remedy = "write 127.0.0.1:8000 for this machine alone, 0.0.0.0:8000 or [::]:8000 for all networks";
        problems.push(Problem::new(section.place_of(key), section.path_of(key), message).with_remedy(remedy));
    }
    parsed
}

/// Checks the name against the zones that are compiled in, so that the answer is the same on every machine.
pub(super) fn check_timezone(name: &str, place: Option<Place>, problems: &mut Vec<Problem>) {
    if name == "UTC" || jiff::tz::TimeZoneDatabase::bundled().get(name).is_ok() {
        return;
    }
    let zones = jiff::tz::TimeZoneDatabase::bundled();
    let names: Vec<String> = zones.available().map(|zone| zone.to_string()).collect();
    let remedy = match model::conf::words::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => "write an IANA name such as Europe/Zurich or UTC".to_owned(),
    };
    problems.push(Problem::new(place, "timezone", format!("there is no time zone {name:?}")).with_remedy(remedy));
}
