//! When a change of the configuration file is believed: the pure half of watching it. Takes what was seen and when, answers
//! what to do. Reads no file.

use std::time::Duration;

use model::time::Mono;

/// How often the file is looked at.
pub(crate) const POLL: Duration = Duration::from_secs(1);
/// How long a change that loads and takes nothing away has to be the same: writing a file takes less.
pub(crate) const SETTLE: Duration = Duration::from_millis(200);
/// How long a change that does not load, takes targets away or removes the file has to be the same: a half-written file is
/// one of these, and an editor that writes anew first deletes.
pub(crate) const DOUBT: Duration = Duration::from_secs(1);

/// What the file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It has this hash.
    Text(String),
    /// It cannot be read, for this reason.
    Nothing(String),
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: it is known.
    Nothing,
    /// It is as in effect again, after something that was refused.
    Recovered,
    /// It is new, for this long.
    New(Duration),
}

/// What is known of the file.
#[derive(Debug)]
pub(crate) struct Watch {
    in_effect: String,
    refused: Option<Seen>,
    candidate: Option<(Seen, Mono)>,
}

impl Watch {
    /// The configuration of this hash is in effect.
    pub(crate) fn new(in_effect: String) -> Self {
        Self { in_effect, refused: None, candidate: None }
    }

    /// The hash in effect.
    pub(crate) fn in_effect(&self) -> &str {
        &self.in_effect
    }

    /// Whether a change waits to be believed.
    pub(crate) fn is_pending(&self) -> bool {
        self.candidate.is_some()
    }

    /// The file was looked at.
    pub(crate) fn see(&mut self, now: Mono, seen: &Seen) -> Next {
        if matches!(seen, Seen::Text(hash) if *hash == self.in_effect) {
            self.candidate = None;
            return if self.refused.take().is_some() { Next::Recovered } else { Next::Nothing };
        }
        if self.refused.as_ref() == Some(seen) {
            self.candidate = None;
            return Next::Nothing;
        }
        match &self.candidate {
            Some((known, since)) if known == seen => Next::New(now.0.saturating_sub(since.0)),
            _ => {
                self.candidate = Some((seen.clone(), now));
                Next::New(Duration::ZERO)
            }
        }
    }

    /// The configuration of this hash took effect.
    pub(crate) fn applied(&mut self, hash: String) {
        *self = Self::new(hash);
    }

    /// What was seen was refused; it is not looked at again until it is something else.
    pub(crate) fn refuse(&mut self, seen: Seen) {
        self.candidate = None;
        self.refused = Some(seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the file is at each tenth of a second (`-` is gone, else the hash), and what is answered: `.` nothing, `R`
    /// recovered, a digit the tenths for which it has been new. `!` after a tenth refuses, `+` applies what was seen.
    fn check(script: &str, wanted: &str) {
        let mut watch = Watch::new("a".to_owned());
        let (mut got, mut tenth, mut last) = (String::new(), 0, Seen::Nothing(String::new()));
        for c in script.chars() {
            match c {
                '!' => watch.refuse(last.clone()),
                '+' => watch.applied(if let Seen::Text(hash) = &last { hash.clone() } else { String::new() }),
                c => {
                    last = if c == '-' { Seen::Nothing("gone".to_owned()) } else { Seen::Text(c.to_string()) };
                    let next = watch.see(Mono(Duration::from_millis(100 * tenth)), &last);
                    tenth += 1;
                    got.push(match next {
                        Next::Nothing => '.',
                        Next::Recovered => 'R',
                        Next::New(age) => char::from_digit(u32::try_from(age.as_millis() / 100).expect("small"), 10)
                            .expect("less than a second"),
                    });
                }
            }
        }
        assert_eq!(got, wanted, "{script}");
    }

    #[test]
    fn a_change_is_believed_once_and_only_when_it_lasts() {
        check("aaa", "...");
        check("abbb+bb", ".012..");
        check("abcbb", ".0001");
        check("aba", ".0.");
        check("abb!bba", ".01..R");
        check("a--!--aa", ".01..R.");
        check("a--!bb!--", ".010101");
        check("abb+aa", ".0101");
    }
}
