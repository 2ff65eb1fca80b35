//! The first run: a token that is printed by the program and makes the first administrator, once.

use std::sync::{Mutex, PoisonError};

use model::secret::Secret;

use super::random;

/// The token while it is valid. It lives in memory alone: a restart without a user makes a new one.
pub struct Setup {
    token: Mutex<Option<Secret>>,
}

impl Setup {
    /// A new token, or the given one; none when it is not `needed`.
    #[must_use]
    pub fn new(needed: bool, given: Option<Secret>) -> Self {
        let token = needed.then(|| given.unwrap_or_else(|| Secret::new(random::secret())));
        Self { token: Mutex::new(token) }
    }

    /// The token, for the program to print.
    #[must_use]
    pub fn token(&self) -> Option<Secret> {
        self.lock().clone()
    }

    /// Whether a text is the token.
    #[must_use]
    pub fn fits(&self, text: &str) -> bool {
        self.lock().as_ref().is_some_and(|token| random::same(token.expose(), text.trim()))
    }

    /// The token was used: it is worth nothing from now on.
    pub fn used(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Secret>> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_works_until_it_is_used() {
        let s = Setup::new(true, None);
        let token = s.token().expect("needed");
        assert!(s.fits(token.expose()) && !s.fits("") && !s.fits("x"));
        s.used();
        assert!(!s.fits(token.expose()) && s.token().is_none());
        assert!(Setup::new(false, None).token().is_none());
    }
}
