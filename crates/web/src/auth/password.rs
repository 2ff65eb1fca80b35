//! Passwords: what is accepted, how they are kept (argon2id), and how many are checked at once. Never logs or shows one.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use model::secret::Secret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{ApiError, ApiResult, Code};

/// Fewest letters of a password.
pub const MIN_CHARS: usize = 10;
/// Most bytes of a password: hashing more would be work for an attacker to order.
pub const MAX_BYTES: usize = 1024;
/// Memory per hash in KiB, passes and lanes: the second choice of RFC 9106 scaled to small machines, as OWASP's password
/// storage cheat sheet recommends (19 MiB, 2 passes, 1 lane).
const COST: (u32, u32, u32) = (19 * 1024, 2, 1);
/// Hashes computed at once: each takes 19 MiB and a core for some 20 ms.
const AT_ONCE: usize = 2;
/// Hashes that may wait for their turn; further log-ins are told to come back.
const WAITING: usize = 32;

/// Computes and checks password hashes, a few at a time.
#[derive(Clone)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Hash of a random password: checked when the user is unknown, so that both answers take as long.
    decoy: Arc<str>,
}

impl Passwords {
    /// Ready to work. Computes one hash.
    ///
    /// # Errors
    /// When the hash cannot be computed (no randomness, no memory).
    pub fn new() -> ApiResult<Self> {
        let decoy = hash(&super::random::secret())?;
        Ok(Self {
            running: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            decoy: decoy.into(),
        })
    }

    /// Whether a password fits a hash; without a hash (unknown user) the answer is no and takes as long.
    ///
    /// # Errors
    /// Busy, or an internal error.
    pub async fn verify(&self, password: Secret, known: Option<String>) -> ApiResult<bool> {
        let _turn = self.turn().await?;
        let decoy = Arc::clone(&self.decoy);
        let answer = tokio::task::spawn_blocking(move || {
            let password = password.expose();
            let fits = password.len() <= MAX_BYTES && verify(password, known.as_deref().unwrap_or(&decoy));
            fits && known.is_some()
        });
        Ok(answer.await?)
    }

    /// Waits for the turn to compute a hash; it lasts until the answer is dropped.
    ///
    /// # Errors
    /// Busy, when too many wait already.
    pub async fn turn(&self) -> ApiResult<(OwnedSemaphorePermit, OwnedSemaphorePermit)> {
        let busy = || ApiError::new(Code::Busy, "too many log-ins at once, try again").retry_after(2);
        let waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| busy())?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| busy())?;
        Ok((waiting, running))
    }
}

/// Checks a new password.
///
/// # Errors
/// What is wrong with it, in words that do not repeat it.
pub fn check(password: &str, user: &str) -> ApiResult<()> {
    let refuse = |why: String| Err(ApiError::new(Code::Invalid, why));
    let count = password.chars().count();
    if count < MIN_CHARS {
        return refuse(format!("the password has {count} letters, at least {MIN_CHARS} are needed"));
    }
    if password.len() > MAX_BYTES {
        return refuse(format!("the password has {} bytes, at most {MAX_BYTES} are accepted", password.len()));
    }
    if password.to_lowercase() == user.to_lowercase() {
        return refuse("the password is the user's name".to_owned());
    }
    let first = password.chars().next();
    if password.chars().all(|c| Some(c) == first) {
        return refuse("the password is one letter repeated".to_owned());
    }
    Ok(())
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(COST.0, COST.1, COST.2, None).expect("the costs are within the bounds of the algorithm");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// Hashes a password into the PHC string format. Slow on purpose: call it off the event loop.
///
/// # Errors
/// An internal error when there is no randomness or memory.
pub fn hash(password: &str) -> ApiResult<String> {
    let hash = argon2().hash_password(password.as_bytes());
    Ok(hash.map_err(|e| ApiError::internal(format!("a password could not be hashed: {e}")))?.to_string())
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|parsed| argon2().verify_password(password.as_bytes(), &parsed).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_hash_fits_its_password_alone() {
        let p = Passwords::new().expect("works");
        let h = hash("correct horse").expect("works");
        assert!(h.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{h}");
        for (password, known, wanted) in [
            ("correct horse", Some(h.clone()), true),
            ("correct hors", Some(h.clone()), false),
            ("correct horse", None, false),
            ("correct horse", Some("rubbish".to_owned()), false),
        ] {
            assert_eq!(p.verify(Secret::new(password), known).await.expect("not busy"), wanted, "{password}");
        }
    }

    #[test]
    fn weak_passwords_are_refused() {
        for (password, fine) in [
            ("short", false),
            ("aaaaaaaaaaaa", false),
            ("Operator-1", false),
            ("long enough", true),
            ("ÄÖÜäöüßéèê", true),
        ] {
            assert_eq!(check(password, "operator-1").is_ok(), fine, "{password}");
        }
        assert!(check(&"ab".repeat(513), "u").is_err());
    }
}
