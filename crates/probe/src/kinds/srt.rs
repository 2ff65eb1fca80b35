//! Kind `srt`: a transport stream over SRT (draft-sharabayko-srt-01), as caller or as listener, received until coded frames of
//! every stream of its tables have arrived. Owns the order of a look; the parts are in the folder.
//!
//! The protocol is `wire::srt`'s. Quirks met: listeners that let a caller in and stay silent until somebody publishes, that
//! refuse with numbers borrowed from HTTP, that let one caller in at a time, that change keys while they send.

mod flow;
mod options;
mod pulse;
mod session;

use model::address::Address;
use model::conf::{Field, Problem, Section, Type};
use model::fault::{Fault, FaultKind};
use model::phase::Phase;
use model::reading::{Depth, Reading};
use model::target::Target;
use net::attempt::Attempt;

use self::flow::Flow;
use self::options::Plan;
use self::pulse::Pulse;
use self::session::Session;
use crate::kind::{BoxFuture, HOLD_FIELDS, Kind, LOOK_GATHER, Probe, join_fields, options_node, within};
use crate::kinds::mpegts::analysis::{Rules, Selection};
use crate::live::Live;

const OWN_FIELDS: [Field; 7] = [
    Field::new(
        "mode",
        Type::Choice(&["caller", "listener"]),
        "Whether to call the peer, or to listen on the URL's address and port of this machine until a peer calls. The same as \
         ?mode= in the URL; a URL without a host is no URL: write srt://0.0.0.0:9000?mode=listener.",
    )
    .default("caller"),
    Field::new(
        "streamid",
        Type::Secret,
        "Which stream to ask for, also in the form #!::r=name,m=request; as listener, the stream id that callers must bring. The \
         same as ?streamid= in the URL. Stream ids carry keys and are never shown again.",
    ),
    Field::new(
        "passphrase",
        Type::Secret,
        "Passphrase of an encrypted stream, 10 to 79 bytes. The same as ?passphrase= in the URL. Never shown again.",
    ),
    Field::new(
        "pbkeylen",
        Type::Choice(&["16", "24", "32"]),
        "Length of the key in bytes, when the peer's wish is not to decide: 16 is AES-128, 24 AES-192, 32 AES-256. The same as \
         ?pbkeylen= in the URL.",
    ),
    Field::new(
        "latency",
        Type::Duration { min: std::time::Duration::from_millis(20), max: std::time::Duration::from_secs(30) },
        "How long lost packets are waited for; a peer that asks for longer is given it. The same as ?latency= in the URL, there \
         in milliseconds.",
    )
    .default("120ms"),
    Field::new(
        "program",
        Type::Integer { min: 1, max: 65_535 },
        "Number of the program to look at, where the stream carries several. Without it, all of them.",
    ),
    Field::new(
        "tracks",
        Type::Choice(&["all", "video", "audio"]),
        "Which streams must bring media: all that the tables announce, or those of one sort.",
    )
    .default("all"),
];
static FIELDS: [Field; 8] = join_fields(&[&OWN_FIELDS, &HOLD_FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "srt",
    schemes: &["srt"],
    summary: "SRT: coded frames of every stream of a transport stream arrive, as caller or as listener",
    example: "\
name: Contribution feed
url: srt://ingest.example.com:9000
kind: srt
streamid: '#!::r=studio1,m=request'
passphrase: correct horse battery
latency: 200ms
",
    media: true,
    holds: true,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Srt::new(target)?)),
    guess: |address: &Address| if address.scheme() == "srt" { 10 } else { 0 },
};

/// A target of this kind, ready to be looked at.
struct Srt {
    plan: Plan,
    rules: Rules,
    depth: Depth,
}

impl Srt {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let plan = Plan::read(&target.address, &options, &mut problems);
        let tracks = match options.text("tracks").as_deref() {
            Some("video") => Selection::Video,
            Some("audio") => Selection::Audio,
            _ => Selection::All,
        };
        let program = options.integer("program").and_then(|number| u16::try_from(number).ok());
        let rules = Rules { program, tracks, ..Rules::default() };
        if problems.is_empty() { Ok(Self { plan, rules, depth: target.depth }) } else { Err(problems) }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let mut session = Session::open(at, &self.plan, reading).await?;
        reading.proven = Some(Depth::Reach);
        if self.depth == Depth::Reach {
            return Ok(());
        }
        let mut flow = Flow::new(&self.rules, self.depth);
        let ended = at.run(Phase::Media, receive(&mut session, &mut flow)).await;
        flow.note(reading);
        session.note(reading);
        match ended {
            Ok(()) => {}
            Err(fault) if fault.kind == FaultKind::TimedOut => flow.verdict(&mut session, &within(at.limit()))?,
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    async fn hold(&self, at: &mut Attempt<'_>, live: &Live) -> Result<(), Fault> {
        // Facts go where they are seen although opening has not ended yet.
        let mut reading = Reading::default();
        let opened = Session::open(at, &self.plan, &mut reading).await;
        live.reading(|shown| *shown = reading);
        let mut session = opened?;
        let mut flow = Flow::new(&self.rules, Depth::Media);
        let ended = at.run(Phase::Media, receive(&mut session, &mut flow)).await;
        live.reading(|shown| {
            flow.note(shown);
            session.note(shown);
        });
        match ended {
            Err(fault) if fault.kind == FaultKind::TimedOut => flow.verdict(&mut session, &within(at.limit()))?,
            ended => ended?,
        }
        live.opened(at);
        Pulse::new(&flow, &self.rules).follow(&mut session, live).await
    }
}

impl Probe for Srt {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }

    fn hold<'a>(&'a self, at: &'a mut Attempt<'_>, live: &'a Live) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.hold(at, live))
    }
}

/// Receives until enough is known.
async fn receive(session: &mut Session, flow: &mut Flow) -> Result<(), Fault> {
    session.gather(LOOK_GATHER)?;
    loop {
        session.ready().await?;
        let ended = session.take(&mut |delivery, now| flow.push(delivery, now));
        if flow.is_enough() {
            return Ok(());
        }
        flow.check(session)?;
        if let Err(ended) = ended {
            flow.verdict(session, &format!("before {}", ended.words))?;
            return Ok(());
        }
    }
}
