//! How StreamPulse itself is, put together from the board, the loop and the store. Judges nothing itself.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::cadence::Punctuality;
use engine::handle::Handle;
use model::board::Board;
use model::event::Part;
use model::status::Status;

use crate::dto::health::{CountsDto, HealthDto, PartDto, PunctualityDto, ReadyDto};
use crate::masks::hide_in_words;
use crate::pulse::Pulse;

/// Version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The health of the process whose newest board is `board`.
#[must_use]
pub fn of(handle: &Handle, board: &Board, pulse: &Pulse) -> HealthDto {
    let now = handle.clock().utc();
    let mut parts: BTreeMap<&'static str, PartDto> = BTreeMap::new();
    for part in Part::ALL {
        let unwell = board.health.unwell.get(&part);
        parts.insert(part.as_str(), PartDto::new(unwell.map(|(why, since)| (hide_in_words(why), since.0))));
    }
    let store = handle.store().health();
    if let Some(part) = parts.get_mut(Part::Store.as_str()) {
        if !store.ok && part.ok {
            let why = store.reason.unwrap_or_else(|| "the history cannot be written".to_owned());
            *part = PartDto::new(Some((hide_in_words(&why), store.since.map_or(now.0, |at| at.0))));
        }
        part.lost_rows = Some(store.lost_rows);
        part.queued = Some(store.queued);
        part.size_bytes = Some(store.size_bytes);
        part.last_commit_at = store.last_commit_at.map(|at| at.0);
    }
    if let Some(part) = parts.get_mut(Part::Engine.as_str()) {
        if !pulse.is_felt() && part.ok {
            *part = PartDto::new(Some(("the engine's loop does not turn".to_owned(), board.at.0)));
        }
        part.board_age_ms = Some(u64::try_from(now.since(board.at).as_millis()).unwrap_or(u64::MAX));
        part.punctuality = Some(PunctualityDto::from(&pulse.punctuality()));
    }
    if let (Some(part), Some(problem)) = (parts.get_mut(Part::Config.as_str()), board.health.config_problems.first())
        && part.ok
    {
        let more = board.health.config_problems.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        *part = PartDto::new(Some((hide_in_words(&format!("{problem}{more}")), board.at.0)));
    }
    let ok = parts.values().all(|p| p.ok);
    HealthDto {
        status: if ok { "ok" } else { "unwell" },
        parts,
        version: VERSION,
        uptime_ms: u64::try_from(now.since(board.started_at).as_millis()).unwrap_or(u64::MAX),
        targets: counts(board),
    }
}

impl PartDto {
    fn new(unwell: Option<(String, i64)>) -> Self {
        let (reason, since) = unwell.unzip();
        Self {
            ok: reason.is_none(),
            reason,
            since,
            lost_rows: None,
            queued: None,
            size_bytes: None,
            last_commit_at: None,
            board_age_ms: None,
            punctuality: None,
        }
    }
}

impl From<&Punctuality> for PunctualityDto {
    fn from(seen: &Punctuality) -> Self {
        // Upwards, so that a look that was late at all is never told as punctual.
        let ms = |late: Duration| u64::try_from(late.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let (p99_ms, worst_ms) = (ms(seen.quantile(0.99)), ms(seen.worst));
        Self { rounds: seen.rounds, missed: seen.missed, p99_ms, worst_ms }
    }
}

fn counts(board: &Board) -> CountsDto {
    let mut c = CountsDto { total: board.targets.len(), ..CountsDto::default() };
    for target in board.targets.iter() {
        *match target.state.status {
            Status::Up => &mut c.up,
            Status::Degraded => &mut c.degraded,
            Status::Down => &mut c.down,
            Status::Unknown => &mut c.unknown,
            Status::Paused => &mut c.paused,
            Status::Maintenance => &mut c.maintenance,
        } += 1;
    }
    c
}

/// Whether two healths tell people the same; figures that always move do not count.
#[must_use]
pub fn same(a: &HealthDto, b: &HealthDto) -> bool {
    let parts = |h: &HealthDto| h.parts.iter().map(|(k, p)| (*k, p.ok, p.reason.clone())).collect::<Vec<_>>();
    a.targets == b.targets && parts(a) == parts(b)
}

/// Whether this process does its work: engine, store and clock are well. A file that was refused, of the configuration or of
/// services, does not count, because what ran before goes on.
#[must_use]
pub fn ready(health: &HealthDto) -> ReadyDto {
    let files = [Part::Config.as_str(), Part::Services.as_str()];
    let unwell = health.parts.iter().filter(|(name, part)| !part.ok && !files.contains(name));
    let reasons = unwell.map(|(name, part)| format!("{name}: {}", part.reason.as_deref().unwrap_or("unwell")));
    let reasons: Vec<String> = reasons.collect();
    ReadyDto { ready: reasons.is_empty(), reasons }
}
