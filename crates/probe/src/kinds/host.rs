//! Kind `host`: the machine that StreamPulse runs on, from the files in which Linux tells about itself (proc(5), sysfs).
//! A pass proves that they could be read and that nothing lies beyond the bounds that fail.
//!
//! Own parsing instead of the crate sysinfo: that one knows neither states of processors, errors of interfaces, inodes nor the
//! limits of control groups, reads every process of the machine for what is three files here, and cannot be pointed at
//! another root, by which recorded machines test this one and a container sees its host.

mod bounds;
mod counters;
mod files;
mod gather;
mod report;
mod state;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::conf::{Field, Problem, Section, Type};
use model::fault::Fault;
use model::phase::Phase;
use model::reading::{Reading, Severity};
use model::target::Target;
use net::attempt::Attempt;
use tokio::time::{Instant, sleep_until};

use crate::kind::{BoxFuture, Kind, Probe, join_fields, options_node};
use bounds::Bounds;
use counters::Counters;
use files::Root;
use gather::Reader;

/// Least time between two readings that make a rate: the counters of processors step by 10 ms.
const WINDOW: Duration = Duration::from_millis(500);
/// Oldest reading that a rate of "now" may be made with: older ones are of a target that was paused or is looked at seldom.
const MAX_WINDOW: Duration = Duration::from_secs(300);
/// Longest name of a folder or an interface.
const MAX_NAME_BYTES: usize = 4096;

const OWN_FIELDS: [Field; 3] = [
    Field::new(
        "mounts",
        Type::List(&Type::Text { max: MAX_NAME_BYTES }),
        "File systems to look at, by the folder they are mounted on; one that is not mounted is a failure. All that hold \
         files of people, except over a network, when absent.",
    ),
    Field::new(
        "interfaces",
        Type::List(&Type::Text { max: MAX_NAME_BYTES }),
        "Interfaces to look at; one that is missing or down is a failure. All that carry something when absent.",
    ),
    Field::new(
        "root",
        Type::Text { max: MAX_NAME_BYTES },
        "Folder in which `proc` and `sys` stand: in a container that of the machine, where it is mounted.",
    )
    .default("/"),
];
static FIELDS: [Field; 25] = join_fields(&[&OWN_FIELDS, &bounds::FIELDS]);

/// The row of the table.
pub(crate) static KIND: Kind = Kind {
    name: "host",
    schemes: &["host"],
    summary: "This machine: processors, load, memory, file systems, disks, temperatures, interfaces",
    example: "\
name: This machine
url: host://local
kind: host
warn_cpu: 90
fail_disk: 98
interfaces: [eth0]
",
    media: false,
    holds: false,
    fields: &FIELDS,
    build: |target| Ok(Box::new(Host::new(target)?)),
    guess: |address| u8::from(address.scheme() == "host"),
};

/// A target of this kind, ready to be looked at.
struct Host {
    reader: Reader,
    bounds: Bounds,
    /// Interfaces that must be there, and folders on which something must be mounted.
    must_be_there: Vec<String>,
    must_be_mounted: Vec<String>,
    /// Whether the interfaces are named that are shown.
    is_picked: bool,
    /// The reading of the look before, for rates.
    last: Mutex<Option<Counters>>,
}

impl Host {
    fn new(target: &Target) -> Result<Self, Vec<Problem>> {
        let node = options_node(target);
        let mut problems = Vec::new();
        let options = Section::check(&node, &FIELDS, "", &mut problems);
        let address = &target.address;
        let is_plain = address.port().is_none() && matches!(address.path_and_query().as_str(), "/" | "");
        if address.host() != "local" || !is_plain || address.credentials().is_some() {
            let problem = Problem::new(None, "url", "only the machine that StreamPulse runs on can be looked at");
            problems.push(problem.with_remedy("write host://local"));
        }
        let root = options.text("root").unwrap_or_default();
        if !root.starts_with('/') {
            problems
                .push(Problem::new(None, "root", "the folder is not absolute").with_remedy("begin it with a slash"));
        }
        let bounds = Bounds::read(&options);
        let interfaces = options.texts("interfaces");
        let (only, also): (Vec<_>, Vec<_>) = (options.texts("mounts"), bounds.folders().cloned().collect());
        let reader = Reader::new(Root::new(root), &only, &also);
        let must_be_there = together(interfaces.iter().chain(bounds.interfaces()));
        let must_be_mounted = together(only.iter().chain(&also));
        let is_picked = !interfaces.is_empty();
        let probe = Self { reader, bounds, must_be_there, must_be_mounted, is_picked, last: Mutex::default() };
        if problems.is_empty() { Ok(probe) } else { Err(problems) }
    }

    async fn look(&self, at: &mut Attempt<'_>, reading: &mut Reading) -> Result<(), Fault> {
        let deadline = at.deadline();
        // At most half of the time goes into waiting for the counters to grow.
        let latest = Instant::now() + at.remaining() / 2;
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let fresh = last.filter(|last| last.at.elapsed() <= MAX_WINDOW);
        let both = async {
            let before = match fresh {
                Some(before) => before,
                None => self.reader.counters(deadline).await?,
            };
            sleep_until((before.at + WINDOW).min(latest)).await;
            Ok((before, self.reader.everything(deadline).await?))
        };
        let (before, seen) = at.run(Phase::Transfer, both).await?;
        let rates = seen.counters.since(&before);
        let shown = if self.is_picked { self.must_be_there.as_slice() } else { &[] };
        report::report(&seen, &rates, shown, reading);
        for folder in &self.must_be_mounted {
            if !seen.mounts.iter().any(|(mount, _)| mount.folder == *folder) {
                reading.find("mount_missing", Severity::Failure, format!("nothing is mounted on {folder}"));
            }
        }
        self.bounds.check(&seen, &rates, &self.must_be_there, reading);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.counters);
        Ok(())
    }
}

/// Each name once.
fn together<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

impl Probe for Host {
    fn look<'a>(&'a self, at: &'a mut Attempt<'_>, reading: &'a mut Reading) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.look(at, reading))
    }
}
