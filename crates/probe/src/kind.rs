//! What a kind of target is: its name, schemes, fields, and how a target of it is looked at. Owns what the kinds share
//! (reading options, credentials, field lists, dispatch). Opens nothing.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use model::address::{Address, Credentials};
pub use model::conf::join_fields;
use model::conf::{Field, Node, Problem, Section, Type, Value};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Reading, fact};
use model::secret::Secret;
use model::target::Target;
use net::attempt::Attempt;
use wire::auth::Challenge;

use crate::gear::Gear;
use crate::kinds;
use crate::live::Live;

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A probe, or everything that is wrong with the target's options.
pub type Built = Result<Box<dyn Probe>, Vec<Problem>>;

/// One row of the table of kinds.
pub struct Kind {
    /// The word in the configuration (`kind: rtsp`), in the API and in the history.
    pub name: &'static str,
    /// URL schemes it can look at, in lower case.
    pub schemes: &'static [&'static str],
    /// One sentence for people: what a pass proves.
    pub summary: &'static str,
    /// A target as it stands in the configuration file: documentation and test at once.
    pub example: &'static str,
    /// Whether it carries media, so that `depth` applies.
    pub media: bool,
    /// Whether it can hold a session ([`Probe::hold`]), so that `watch: continuous` applies.
    pub holds: bool,
    /// Keys that only this kind knows.
    pub fields: &'static [Field],
    /// Makes the probe of a target, or says everything that is wrong with its options.
    pub build: fn(&Target) -> Built,
    /// How well an address fits when the configuration names no kind: 0 is "not mine", the highest wins.
    pub guess: fn(&Address) -> u8,
}

/// Looks at one target.
pub trait Probe: Send + Sync {
    /// One look. Facts are written as they are learned, so that they stay when the look ends in a fault. Never retries,
    /// spawns or sleeps; every wait is inside [`Attempt::run`].
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>>;

    /// What is unwise about a target whose options are right: told when the configuration is checked, and refused by nobody.
    fn warnings(&self, target: &Target) -> Vec<Problem> {
        let _none = target;
        Vec::new()
    }

    /// Opens a session exactly as [`Probe::look`] does, with every wait inside [`Attempt::run`] until the first media of
    /// every track is there; says so by [`Live::opened`]; and from then on reads for as long as it is let, without
    /// `Attempt::run` (whose deadline is that of opening), and tells [`Live`] of every media packet. Ends only with the
    /// fault of a session that ended, or by being dropped: it then takes leave as well as a drop can. Never waits for
    /// time to pass but for keep-alives, never retries, spawns or judges; silence is noticed by
    /// [`crate::run::Prober::hold`].
    ///
    /// # Errors
    /// Why the session could not be opened, or why it ended.
    fn hold<'a>(&'a self, at: &'a mut Attempt<'_>, live: &'a Live) -> BoxFuture<'a, Result<(), Fault>> {
        let (_, _) = (at, live);
        let words = "this kind cannot hold a session";
        Box::pin(async move { Err(Fault::new(FaultKind::Internal, Phase::Connect, words)) })
    }

    /// Takes what it needs beside its target, once, before the first look. Most need nothing.
    fn equip(&mut self, _gear: &Gear) {}
}

/// How long the packets of a look gather before they are read, once the first have come: being woken for each of them costs
/// more than all that is done with it. A look ends so much later at most.
pub(crate) const LOOK_GATHER: Duration = Duration::from_millis(100);
/// The same where the kernel tells when enough has come, so that it is less often the time that ends the wait.
pub(crate) const LOOK_GATHER_STREAM: Duration = Duration::from_millis(250);
/// Bytes on a connection after which a look reads sooner: a small key frame, and half a second of sound.
pub(crate) const LOOK_GATHER_BYTES: u16 = 8 * 1024;
/// The same for a session that is held: half of the window with which the kernel begins, so that no sender is held up.
pub(crate) const HOLD_GATHER_BYTES: u16 = 32 * 1024;

/// The key of a target that holds a session that says how long a silence may last; part of [`HOLD_FIELDS`].
pub const SILENCE_KEY: &str = "silence";
/// Longest silence of a track that is accepted unless the configuration says otherwise: it is noticed within 2 s of the
/// last packet, with half a second to spare for timers and a busy machine.
pub const DEFAULT_SILENCE: Duration = Duration::from_millis(1500);
/// Shortest silence that may be called one: networks and busy cameras hold packets back for tens of milliseconds.
const MIN_SILENCE: Duration = Duration::from_millis(200);
/// Longest silence that may be accepted: a still picture every few minutes.
const MAX_SILENCE: Duration = Duration::from_secs(600);

/// Keys of kinds that can hold a session.
pub const HOLD_FIELDS: [Field; 1] = [Field::new(
    SILENCE_KEY,
    Type::Duration { min: MIN_SILENCE, max: MAX_SILENCE },
    "With watch: continuous: the longest silence of a track that is accepted while the session is held. Streams whose \
     packets usually come farther apart than that (one picture a second, say) are given 2.5 times their usual gap.",
)
.default("1500ms")];

/// Keys of a target that every kind has and the loader owns: no kind may use one of them for itself.
pub const COMMON_KEYS: [&str; 18] = [
    "id",
    "name",
    "url",
    "kind",
    "group",
    "tags",
    "enabled",
    "watch",
    "interval",
    "timeout",
    "retries",
    "depth",
    "parents",
    "fail_after",
    "recover_after",
    "expect",
    "template",
    "templates",
];

/// Keys of kinds whose peers ask for a user name: an alternative to writing them into the URL.
pub const AUTH_FIELDS: [Field; 2] = [
    Field::new("user", Type::Text { max: 256 }, "User name, when it does not stand in the URL."),
    Field::new("password", Type::Secret, "Password, when it does not stand in the URL. Never shown again."),
];

/// Makes the probe of a target.
///
/// # Errors
/// Every problem with the target's options; also when its kind is in no table or does not know the URL's scheme.
pub fn build(target: &Target) -> Built {
    let Some(kind) = kinds::by_name(target.kind) else {
        return Err(vec![Problem::new(None, "kind", format!("there is no kind {}", target.kind))]);
    };
    let scheme = target.address.scheme();
    if kind.schemes.contains(&scheme) {
        return (kind.build)(target);
    }
    let message = format!("the kind {} cannot look at {scheme}:// addresses", kind.name);
    let remedy = format!("it knows {}", kind.schemes.join(", "));
    let mut problems = vec![Problem::new(None, "url", message).with_remedy(remedy)];
    if let Err(found) = (kind.build)(target) {
        problems.extend(found.into_iter().filter(|p| p.path != "url"));
    }
    Err(problems)
}

/// Makes the probe of a target and hands it what it needs beside the target.
///
/// # Errors
/// As [`build`].
pub fn equipped(target: &Target, gear: &Gear) -> Built {
    let mut probe = build(target)?;
    probe.equip(gear);
    Ok(probe)
}

/// The options of a target as a node that [`Section::check`] reads.
#[must_use]
pub fn options_node(target: &Target) -> Node {
    Node::bare(Value::Map(target.options.0.iter().map(|(k, v)| (k.clone(), Node::bare(v.clone()))).collect()))
}

/// The address of a target with the credentials of [`AUTH_FIELDS`], where its options have them.
#[must_use]
pub fn address_of(target: &Target, options: &Section<'_>) -> Address {
    let (user, password) = (options.text("user"), options.secret("password"));
    if user.is_none() && password.is_none() {
        return target.address.clone();
    }
    let known = target.address.credentials();
    let credentials = Credentials {
        user: user.or_else(|| known.map(|c| c.user.clone())).unwrap_or_default(),
        password: password.or_else(|| known.map(|c| c.password.clone())).unwrap_or_default(),
    };
    target.address.clone().with_credentials(Some(credentials))
}

/// Texts of a target that must be seen nowhere and do not stand in its address: values of fields of type secret, nested
/// ones included, and user name and password as Basic sends them.
#[must_use]
pub fn option_secrets(target: &Target) -> Vec<Secret> {
    let mut found = Vec::new();
    if let Some(kind) = kinds::by_name(target.kind) {
        for (key, value) in &target.options.0 {
            if let Some(field) = kind.fields.iter().find(|f| f.key == key) {
                collect_secrets(value, &field.ty, &mut found);
            }
        }
    }
    let node = options_node(target);
    let options = Section::check(&node, &AUTH_FIELDS, "", &mut Vec::new());
    if let Some(known) = address_of(target, &options).credentials() {
        let basic = Challenge::Basic { realm: String::new() };
        let sent = wire::auth::respond(&basic, &known.user, known.password.expose(), "", "", 0, "");
        found.extend(sent.strip_prefix("Basic ").map(Secret::new));
    }
    found
}

fn collect_secrets(value: &Value, ty: &Type, found: &mut Vec<Secret>) {
    match (ty, value) {
        (Type::Secret, value) => found.extend(model::conf::section::scalar(value).map(Secret::new)),
        (Type::List(inner), Value::List(items)) => {
            items.iter().for_each(|node| collect_secrets(&node.value, inner, found));
        }
        (Type::List(inner), single) => collect_secrets(single, inner, found),
        (Type::MapOf(inner), Value::Map(pairs)) => {
            pairs.iter().for_each(|(_, node)| collect_secrets(&node.value, inner, found));
        }
        (Type::Section(fields), Value::Map(pairs)) => collect_section(pairs, fields, found),
        (Type::Sections(fields), Value::List(items)) => {
            for node in items {
                if let Value::Map(pairs) = &node.value {
                    collect_section(pairs, fields, found);
                }
            }
        }
        _ => {}
    }
}

fn collect_section(pairs: &[(String, Node)], fields: &[Field], found: &mut Vec<Secret>) {
    for (key, node) in pairs {
        if let Some(field) = fields.iter().find(|f| f.key == key) {
            collect_secrets(&node.value, &field.ty, found);
        }
    }
}

/// Lists the names of what was found as a fact, each once, so that rules and charts need not read sentences.
pub(crate) fn name_findings(reading: &mut Reading) {
    let mut names: Vec<&str> = reading.findings.iter().map(|finding| finding.name).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        let names = names.join(", ");
        reading.text(fact::FINDINGS, names);
    }
}

/// `within 8 s`, `within 1500 ms`: the words for a deadline that passed.
pub(crate) fn within(limit: Duration) -> String {
    let ms = limit.as_millis();
    if ms.is_multiple_of(1000) { format!("within {} s", ms / 1000) } else { format!("within {ms} ms") }
}

/// A client nonce for Digest authentication: 64 bits of the system's randomness in hexadecimal.
///
/// # Errors
/// An internal fault when the system has no randomness to give.
pub fn client_nonce(phase: Phase) -> Result<String, Fault> {
    match getrandom::u64() {
        Ok(number) => Ok(format!("{number:016x}")),
        Err(e) => Err(Fault::new(FaultKind::Internal, phase, format!("no randomness: {e}"))),
    }
}
