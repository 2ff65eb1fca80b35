//! How a unit's processes end: who is waited for, who is signalled and when all are killed. Reads no output.

use std::time::Duration;

use model::unit::spec::Stop;
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, kill_process_group, pidfd_open, pidfd_send_signal, wait};

use super::KILL_EVERY;
use crate::moment::{Moment, moment};
use crate::proc;

/// The end of a unit, from the first signal to the last process.
pub(super) struct Grave {
    main: u32,
    signal: Signal,
    grace: Duration,
    /// Exit code or signal of the program.
    how: Option<(Option<i32>, Option<i32>)>,
    /// When all that is left is killed; `None` while nobody must end.
    kill_at: Option<Moment>,
    /// Whether somebody asked for the end.
    asked: bool,
    /// No process of it is left.
    over: bool,
}

impl Grave {
    pub(super) fn new(main: u32, rule: &Stop) -> Self {
        let signal = signal_of(rule.signal);
        Self { main, signal, grace: rule.grace, how: None, kill_at: None, asked: false, over: false }
    }

    pub(super) const fn is_over(&self) -> bool {
        self.over
    }

    pub(super) const fn was_asked(&self) -> bool {
        self.asked
    }

    /// Exit code and signal.
    pub(super) fn how(&self) -> (Option<i32>, Option<i32>) {
        self.how.unwrap_or_default()
    }

    /// When something is due.
    pub(super) const fn wake(&self) -> Option<Moment> {
        self.kill_at
    }

    /// Somebody wants it to end: the signal to its group, and after the grace everything is killed. Asked twice, the first
    /// grace counts.
    pub(super) fn end(&mut self, now: Moment) {
        if !self.asked {
            self.asked = true;
            self.signal_all(self.signal);
            self.kill_at = Some(self.kill_at.unwrap_or(now + self.grace).min(now + self.grace));
        }
    }

    /// Everything is killed now.
    pub(super) fn kill(&mut self, now: Moment) {
        self.asked = true;
        self.kill_at = Some(now);
    }

    /// Waits for whoever has ended. When the program itself has, what it left behind is ended, too.
    pub(super) fn reap(&mut self) {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) => {
                    if u32::try_from(pid.as_raw_nonzero().get()) == Ok(self.main) {
                        self.how = Some((status.exit_status(), status.terminating_signal()));
                    }
                }
                Ok(None) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(_) => {
                    // No child is left, and whatever they left would be ours.
                    self.over = true;
                    return;
                }
            }
        }
        if self.how.is_some() && self.kill_at.is_none() {
            self.signal_all(self.signal);
            self.kill_at = Some(moment() + self.grace);
        }
    }

    /// Does what is due.
    pub(super) fn act(&mut self, now: Moment) {
        if !self.over && self.kill_at.is_some_and(|at| at <= now) {
            self.signal_all(Signal::KILL);
            self.kill_at = Some(now + KILL_EVERY);
        }
    }

    /// To the program's group, and to whoever left it.
    fn signal_all(&self, signal: Signal) {
        if let Some(group) = pid(self.main).filter(|_| self.how.is_none()) {
            let _ = kill_process_group(group, signal);
        }
        let all = proc::all();
        for stat in proc::descendants(std::process::id(), &all).iter().filter(|stat| stat.is_alive()) {
            let in_group = self.how.is_none() && stat.pid == self.main;
            if !in_group {
                signal_exactly(stat.pid, stat.start_ticks, signal);
            }
        }
    }
}

fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

/// Signals exactly this process: a number that was given anew meanwhile is left alone.
pub(crate) fn signal_exactly(number: u32, start_ticks: u64, signal: Signal) -> bool {
    let Some(Ok(handle)) = pid(number).map(|pid| pidfd_open(pid, PidfdFlags::empty())) else { return false };
    // The handle is of whoever has the number now; only then is it asked who that is.
    proc::is(number, start_ticks) && pidfd_send_signal(&handle, signal).is_ok()
}

/// A signal by its name without `SIG`.
pub(crate) fn signal_of(name: &str) -> Signal {
    match name {
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "HUP" => Signal::HUP,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "KILL" => Signal::KILL,
        _ => Signal::TERM,
    }
}
