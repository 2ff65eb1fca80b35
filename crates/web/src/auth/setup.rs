//! The first run: a token that is printed by the program and makes the first administrator, once.

use model::secret::Secret;
use tokio::sync::watch;

use super::random;

/// The token while it is valid. It lives in memory alone: a restart without a user makes a new one.
pub struct Setup {
    token: watch::Sender<Option<Secret>>,
}

impl Setup {
    /// No token: the set-up is not open.
    #[must_use]
    pub fn closed() -> Self {
        Self { token: watch::Sender::new(None) }
    }

    /// Makes the token. Only for a store that was read and never held a user.
    pub fn open(&self) {
        self.token.send_replace(Some(Secret::new(random::secret())));
    }

    /// Whether there is a token that was not used.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.token.borrow().is_some()
    }

    /// The token as soon as there is one, for the program to print.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Option<Secret>> {
        self.token.subscribe()
    }

    /// Whether a text is the token.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.token.borrow().as_ref().is_some_and(|token| random::same(token.expose(), text.trim()))
    }

    /// The token was used: it is worth nothing from now on.
    pub fn used(&self) {
        self.token.send_replace(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_works_until_it_is_used() {
        let s = Setup::closed();
        let seen = s.watch();
        assert!(!s.is_open() && !s.fits("") && seen.borrow().is_none());
        s.open();
        let token = seen.borrow().clone().expect("it is told");
        assert!(s.is_open() && s.fits(token.expose()) && !s.fits("") && !s.fits("x"));
        s.used();
        assert!(!s.is_open() && !s.fits(token.expose()) && seen.borrow().is_none());
    }
}
