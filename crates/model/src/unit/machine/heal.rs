//! Health checks, budgets, and how often they may restart a unit. A part of [`super::Machine`].

use std::collections::VecDeque;
use std::time::Duration;

use super::ends::seconds;
use super::{After, Around, Machine, Run, Why};
use crate::time::Mono;
use crate::unit::board::Usage;
use crate::unit::spec::{Budget, HealthCheck, HealthSource, Measure, Unit};
use crate::unit::{Cause, Health, State};

/// The time to which `per_hour` refers.
const HOUR: Duration = Duration::from_secs(3_600);

impl Cause {
    /// Whether restarts for this cause are bounded by [`crate::unit::spec::Heal`].
    #[must_use]
    pub const fn heals(self) -> bool {
        matches!(self, Self::Health | Self::Target | Self::Stale | Self::Limit)
    }
}

/// What checks and budgets of the run under way say.
#[derive(Clone, Debug)]
pub(super) struct Checks {
    health: Health,
    words: Option<String>,
    /// By check: failures in a row, and whether it ever passed.
    seen: Vec<(u32, bool)>,
    /// By budget: since when it is exceeded, and whether that was told.
    over: Vec<Option<(Mono, bool)>>,
    /// Whether it was told that it is not restarted.
    told: bool,
    /// When these restarted it, oldest first.
    heals: VecDeque<Mono>,
}

impl Checks {
    pub(super) fn new(heals: Vec<Mono>) -> Self {
        Self {
            health: Health::Unknown,
            words: None,
            seen: Vec::new(),
            over: Vec::new(),
            told: false,
            heals: heals.into(),
        }
    }

    pub(super) fn now(&self) -> (Health, Option<&str>) {
        (self.health, self.words.as_deref())
    }

    /// A run begins.
    pub(super) fn begin(&mut self, spec: &Unit) {
        self.health = if spec.health.is_empty() { Health::Unknown } else { Health::Starting };
        (self.words, self.told) = (None, false);
        self.seen = vec![(0, false); spec.health.len()];
        self.over = vec![None; spec.budgets.len()];
    }

    /// The run is over.
    pub(super) fn over(&mut self) {
        (self.health, self.words) = (Health::Unknown, None);
        self.seen.clear();
        self.over.clear();
    }
}

/// What a failing check is on the timeline.
fn cause_of(check: &HealthCheck) -> Cause {
    match check.what {
        HealthSource::Target(_) => Cause::Target,
        HealthSource::Heartbeat(..) | HealthSource::Output(_) => Cause::Stale,
        HealthSource::Http(_) | HealthSource::Tcp(_) | HealthSource::Exec(_) | HealthSource::Container => Cause::Health,
    }
}

impl Machine {
    pub(super) fn checked(&mut self, around: &Around<'_>, check: usize, result: Result<(), String>) {
        let (Run::Up(up), Some(rule)) = (&self.run, around.spec.health.get(check)) else { return };
        if self.state == State::Stopping {
            return;
        }
        let ran = around.now.mono.0.saturating_sub(up.began.0);
        self.health.seen.resize(around.spec.health.len(), (0, false));
        let seen = &mut self.health.seen[check];
        match &result {
            Ok(()) => *seen = (0, true),
            Err(_) if ran < rule.start_period && !seen.1 => {}
            Err(_) => seen.0 = seen.0.saturating_add(1),
        }
        let rules = around.spec.health.iter();
        let bad = rules.zip(&self.health.seen).any(|(rule, seen)| seen.0 >= rule.fails.max(1));
        let all = self.health.seen.iter().all(|seen| seen.1 && seen.0 == 0);
        let is_bad_now = result.is_err() && self.health.seen[check].0 >= rule.fails.max(1);
        let was = self.health.health;
        self.health.health = match (bad, all, was) {
            (true, _, _) => Health::Unhealthy,
            (_, true, _) => Health::Healthy,
            // Recovering from one check while another has not been made again leaves it as it was.
            (_, _, Health::Unhealthy) => Health::Healthy,
            (_, _, was) => was,
        };
        let fails = self.health.seen[check].0;
        let words =
            result.err().map(|words| if fails > 1 { format!("{words} ({fails} times in a row)") } else { words });
        match (was, self.health.health) {
            (_, Health::Unhealthy) if is_bad_now => {
                let why = Why::new(cause_of(rule), words.unwrap_or_default());
                if was != Health::Unhealthy {
                    self.note(around, Why { words: format!("unhealthy: {}", why.words), ..why.clone() });
                }
                self.health.words = Some(why.words.clone());
                self.heal(around, why, true);
            }
            (Health::Unhealthy, Health::Healthy) => {
                (self.health.words, self.health.told) = (None, false);
                self.note(around, Why::new(cause_of(rule), "healthy again"));
            }
            (Health::Starting, Health::Healthy) => self.note(around, Why::new(Cause::Health, "healthy")),
            _ => {}
        }
    }

    pub(super) fn measured(&mut self, around: &Around<'_>, usage: &Usage) {
        if !matches!(self.run, Run::Up(_)) || !matches!(self.state, State::Running | State::Starting) {
            return;
        }
        self.health.over.resize(around.spec.budgets.len(), None);
        for (index, budget) in around.spec.budgets.iter().enumerate() {
            let Some(value) = value_of(budget.measure, usage) else { continue };
            if value <= budget.most {
                self.health.over[index] = None;
                continue;
            }
            let (since, told) = self.health.over[index].unwrap_or((around.now.mono, false));
            self.health.over[index] = Some((since, told));
            let lasted = around.now.mono.0.saturating_sub(since.0);
            if lasted < budget.during {
                continue;
            }
            let why = Why::new(Cause::Limit, words_of(budget, value, lasted));
            if !told {
                self.health.over[index] = Some((since, true));
                self.note(around, why.clone());
            }
            if budget.restart {
                self.heal(around, why, !told);
            }
            if self.state == State::Stopping {
                return;
            }
        }
    }

    /// Begins it anew, as far as that is allowed. `first` says that nobody was told of this trouble yet.
    fn heal(&mut self, around: &Around<'_>, why: Why, first: bool) {
        let (rule, now) = (&around.spec.heal, around.now.mono);
        if self.state != State::Running || !rule.restart {
            return;
        }
        let heals = &mut self.health.heals;
        while heals.front().is_some_and(|at| now.0.saturating_sub(at.0) >= HOUR) {
            heals.pop_front();
        }
        if heals.back().is_some_and(|at| now.0.saturating_sub(at.0) < rule.cool_down) {
            return; // The next check, or the next measurement, asks again.
        }
        let most = usize::try_from(rule.per_hour).unwrap_or(usize::MAX);
        if heals.len() >= most {
            if first && !self.health.told {
                self.health.told = true;
                let words =
                    format!("{}; not restarted: that happened {} times within the hour", why.words, heals.len());
                self.note(around, Why { words, ..why });
            }
            return;
        }
        heals.push_back(now);
        let why = Why { words: format!("restarted: {}", why.words), ..why };
        self.end_run(around, why.clone(), Some(After::Start(why)));
    }
}

fn value_of(measure: Measure, usage: &Usage) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "bytes are compared with a limit that a person wrote")]
    match measure {
        Measure::Cpu => usage.cpu_percent,
        Measure::Memory => Some(usage.memory_bytes as f64),
        Measure::Descriptors => usage.descriptors.map(f64::from),
        Measure::Threads => Some(f64::from(usage.threads)),
    }
}

fn words_of(budget: &Budget, value: f64, lasted: Duration) -> String {
    let (value, most) = match budget.measure {
        Measure::Cpu => (format!("{value:.0} %"), format!("{:.0} %", budget.most)),
        Measure::Memory => (mebibytes(value), mebibytes(budget.most)),
        Measure::Descriptors | Measure::Threads => (format!("{value:.0}"), format!("{:.0}", budget.most)),
    };
    format!("{} {value} is above {most} for {}", budget.measure, seconds(lasted))
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / (1024.0 * 1024.0))
}
