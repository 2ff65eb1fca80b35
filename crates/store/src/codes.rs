//! Numbers in the file for the closed lists of the vocabulary, and the compact form of durations by phase.
//! A number never changes its meaning. A new word in `model` does not compile here until it has a number of its own.

use std::time::Duration;

use model::alert::Severity;
use model::fault::FaultKind;
use model::phase::{Phase, Phases};
use model::status::Status;
use model::unit::{Cause, Exit, State};
use model::verdict::Grade;

macro_rules! codes {
    ($name:ident, $back:ident, $ty:ident { $($variant:ident = $code:literal,)+ }) => {
        pub(crate) const fn $name(value: $ty) -> u8 { match value { $($ty::$variant => $code,)+ } }
        pub(crate) const fn $back(code: u8) -> Option<$ty> { match code { $($code => Some($ty::$variant),)+ _ => None } }
    };
}

codes!(grade_code, grade_of, Grade { Pass = 0, Warn = 1, Fail = 2, });
codes!(status_code, status_of, Status {
    Up = 0,
    Degraded = 1,
    Down = 2,
    Unknown = 3,
    Paused = 4,
    Maintenance = 5,
});
codes!(severity_code, severity_of, Severity { Info = 0, Warning = 1, Critical = 2, });
codes!(fault_code, fault_of, FaultKind {
    Unresolved = 0,
    Refused = 1,
    Unreachable = 2,
    TimedOut = 3,
    Tls = 4,
    AuthRequired = 5,
    Forbidden = 6,
    NotFound = 7,
    Protocol = 8,
    NoMedia = 9,
    Stale = 10,
    TooLarge = 11,
    ToolMissing = 12,
    Internal = 13,
    Reported = 14,
    Unclear = 15,
});
codes!(phase_code, phase_of, Phase {
    Resolve = 0,
    Connect = 1,
    Tls = 2,
    Options = 3,
    Describe = 4,
    Setup = 5,
    Play = 6,
    Handshake = 7,
    FirstByte = 8,
    Transfer = 9,
    Media = 10,
    Check = 11,
    Command = 12,
});

codes!(unit_state_code, unit_state_of, State {
    Stopped = 0,
    Starting = 1,
    Running = 2,
    Stopping = 3,
    BackingOff = 4,
    Failed = 5,
    Finished = 6,
});
codes!(cause_code, cause_of, Cause {
    Command = 0,
    Boot = 1,
    Adopted = 2,
    Reload = 3,
    Form = 4,
    Exit = 5,
    Launch = 6,
    Ready = 7,
    Health = 8,
    Target = 9,
    Stale = 10,
    Limit = 11,
    Needs = 12,
    Timer = 13,
});

/// How a run ended: sort, and number of the exit code or signal.
pub(crate) const fn exit_code(exit: Exit) -> (u8, i32) {
    match exit {
        Exit::Code(code) => (0, code),
        Exit::Signal { number, out_of_memory: false } => (1, number),
        Exit::Signal { number, out_of_memory: true } => (2, number),
        Exit::Unseen => (3, 0),
    }
}

const fn exit_of(sort: u8, number: i32) -> Option<Exit> {
    match sort {
        0 => Some(Exit::Code(number)),
        1 => Some(Exit::Signal { number, out_of_memory: false }),
        2 => Some(Exit::Signal { number, out_of_memory: true }),
        3 => Some(Exit::Unseen),
        _ => None,
    }
}

/// Reads how a run ended from two columns; `None` where none did.
pub(crate) fn read_exit(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<Option<Exit>> {
    let Some(sort) = row.get::<_, Option<u8>>(column)? else { return Ok(None) };
    let number = row.get::<_, Option<i32>>(column + 1)?.unwrap_or_default();
    exit_of(sort, number).map(Some).ok_or_else(|| out_of_range(column, sort))
}

/// Reads a code that the file holds; a number of no meaning is a conversion failure, never a guess.
pub(crate) fn read<T>(row: &rusqlite::Row<'_>, column: usize, back: fn(u8) -> Option<T>) -> rusqlite::Result<T> {
    let code: u8 = row.get(column)?;
    back(code).ok_or_else(|| out_of_range(column, code))
}

/// As [`read`], for a column that may be NULL.
pub(crate) fn read_opt<T>(
    row: &rusqlite::Row<'_>,
    column: usize,
    back: fn(u8) -> Option<T>,
) -> rusqlite::Result<Option<T>> {
    let code: Option<u8> = row.get(column)?;
    code.map(|code| back(code).ok_or_else(|| out_of_range(column, code))).transpose()
}

fn out_of_range(column: usize, code: u8) -> rusqlite::Error {
    rusqlite::Error::IntegralValueOutOfRange(column, i64::from(code))
}

/// Step of stored phase durations: fine enough for a connect on a local network, and most fit in one or two bytes.
const PHASE_STEP_US: u64 = 10;
/// Set in the code byte when a count of its own follows.
const OWN_COUNT: u8 = 0x80;

/// Durations by phase of one look: per phase its code and a variable length number of steps.
pub(crate) fn pack_phases(phases: &Phases) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for (phase, took) in phases.iter() {
        out.push(phase_code(phase));
        put_number(&mut out, steps(took));
    }
    (!out.is_empty()).then_some(out)
}

/// The durations again. A blob that does not make sense ends where it stops making sense.
pub(crate) fn unpack_phases(mut blob: &[u8]) -> Phases {
    let mut phases = Phases::default();
    while let Some((&code, rest)) = blob.split_first() {
        blob = rest;
        let (Some(phase), Some(steps)) = (phase_of(code), take_number(&mut blob)) else { break };
        phases.add(phase, Duration::from_micros(steps.saturating_mul(PHASE_STEP_US)));
    }
    phases
}

/// Count and sum of one phase in a roll-up, in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PhaseSum {
    pub(crate) phase: Phase,
    pub(crate) count: u64,
    pub(crate) steps: u64,
}

impl PhaseSum {
    /// The mean over the looks that entered the phase.
    pub(crate) fn mean(self) -> Duration {
        Duration::from_micros((self.steps.saturating_mul(PHASE_STEP_US)) / self.count.max(1))
    }
}

/// Adds one look's durations to the sums.
pub(crate) fn add_phases(sums: &mut Vec<PhaseSum>, phases: &Phases) {
    for (phase, took) in phases.iter() {
        add_sum(sums, PhaseSum { phase, count: 1, steps: steps(took) });
    }
}

/// Adds one sum to the sums.
pub(crate) fn add_sum(sums: &mut Vec<PhaseSum>, one: PhaseSum) {
    match sums.iter_mut().find(|s| s.phase == one.phase) {
        Some(sum) => {
            sum.count += one.count;
            sum.steps = sum.steps.saturating_add(one.steps);
        }
        None => sums.push(one),
    }
}

/// Sums by phase: code byte, the count where it is not `looks` (marked in the code byte), the steps.
pub(crate) fn pack_sums(sums: &[PhaseSum], looks: u64) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    for sum in sums {
        let own = sum.count != looks;
        out.push(phase_code(sum.phase) | if own { OWN_COUNT } else { 0 });
        if own {
            put_number(&mut out, sum.count);
        }
        put_number(&mut out, sum.steps);
    }
    (!out.is_empty()).then_some(out)
}

/// The sums again.
pub(crate) fn unpack_sums(mut blob: &[u8], looks: u64) -> Vec<PhaseSum> {
    let mut sums = Vec::new();
    while let Some((&code, rest)) = blob.split_first() {
        blob = rest;
        let Some(phase) = phase_of(code & !OWN_COUNT) else { break };
        let count = if code & OWN_COUNT == 0 { Some(looks) } else { take_number(&mut blob) };
        let (Some(count), Some(steps)) = (count, take_number(&mut blob)) else { break };
        sums.push(PhaseSum { phase, count, steps });
    }
    sums
}

fn steps(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX) / PHASE_STEP_US
}

/// Seven bits per byte, lowest first, the high bit says that more follow.
fn put_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take_number(blob: &mut &[u8]) -> Option<u64> {
    let mut n = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = blob.split_first()?;
        *blob = rest;
        n |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_own_number_and_comes_back() {
        for s in Status::ALL {
            assert_eq!(status_of(status_code(*s)), Some(*s));
        }
        for f in FaultKind::ALL {
            assert_eq!(fault_of(fault_code(*f)), Some(*f));
        }
        for p in Phase::ALL {
            assert_eq!(phase_of(phase_code(*p)), Some(*p));
            assert!(phase_code(*p) < OWN_COUNT);
        }
        for g in [Grade::Pass, Grade::Warn, Grade::Fail] {
            assert_eq!(grade_of(grade_code(g)), Some(g));
        }
        for s in Severity::ALL {
            assert_eq!(severity_of(severity_code(*s)), Some(*s));
        }
        for s in State::ALL {
            assert_eq!(unit_state_of(unit_state_code(*s)), Some(*s));
        }
        for c in Cause::ALL {
            assert_eq!(cause_of(cause_code(*c)), Some(*c));
        }
        let signal = |out_of_memory| Exit::Signal { number: 9, out_of_memory };
        for exit in [Exit::Code(0), Exit::Code(255), signal(false), signal(true), Exit::Unseen] {
            let (sort, number) = exit_code(exit);
            assert_eq!(exit_of(sort, number), Some(exit));
        }
        assert_eq!(status_of(200), None);
    }

    #[test]
    fn durations_come_back_to_ten_microseconds_and_damage_ends_quietly() {
        let mut phases = Phases::default();
        for (i, us) in [0_u64, 9, 10, 1279, 1280, 163_840, 119_999_990, u64::MAX / 2_000].iter().enumerate() {
            phases.add(Phase::ALL[i], Duration::from_micros(*us));
        }
        let blob = pack_phases(&phases).expect("not empty");
        let back = unpack_phases(&blob);
        for ((p, d), (q, e)) in phases.iter().zip(back.iter()) {
            assert_eq!((p, d.as_micros() / 10), (q, e.as_micros() / 10));
        }
        assert_eq!(back.iter().count(), 8);
        for end in 0..blob.len() {
            assert!(unpack_phases(&blob[..end]).iter().count() <= 8);
        }
        assert_eq!(unpack_phases(&[0xff; 40]), Phases::default());
        assert_eq!(pack_phases(&Phases::default()), None);
    }

    #[test]
    fn sums_come_back_with_and_without_a_count_of_their_own() {
        let sums = vec![
            PhaseSum { phase: Phase::Connect, count: 7, steps: 123_456 },
            PhaseSum { phase: Phase::Media, count: 3, steps: 1 },
        ];
        assert_eq!(unpack_sums(&pack_sums(&sums, 7).expect("not empty"), 7), sums);
        assert_eq!(unpack_sums(&[0x80], 7), vec![]);
    }
}
