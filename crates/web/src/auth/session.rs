//! Sessions: who signed in with which browser. The secret is in the cookie alone; here lies its hash, so that a copy of
//! the store opens no session. Sessions live in the store and outlive a restart.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use model::time::UtcMs;
use serde::{Deserialize, Serialize};
use store::Store;

use super::docs::{self, off_loop};
use super::random;
use crate::error::ApiResult;

/// Name of the cookie; over TLS the prefix `__Host-` makes browsers refuse it for other hosts and paths.
const COOKIE: &str = "streampulse_session";
const COOKIE_TLS: &str = "__Host-streampulse_session";
/// Sessions of one user; the one longest unused ends when there is another.
const MAX_PER_USER: usize = 16;
/// Sessions in all.
const MAX_SESSIONS: usize = 4096;
/// A session ends after this time even when it is in use.
const ABSOLUTE: Duration = Duration::from_secs(30 * 86_400);
/// The time of last use is written to disk at most this often.
const SEEN_EVERY: Duration = Duration::from_secs(300);
/// Longest cookie header that is looked at.
const MAX_COOKIE_BYTES: usize = 8192;

/// One session as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Name of the user.
    pub user: String,
    /// When it began, UTC milliseconds.
    pub created_at: i64,
    /// When it was last used, UTC milliseconds.
    pub seen_at: i64,
}

/// All sessions by the hash of their secret.
pub struct Sessions {
    store: Store,
    idle: Duration,
    known: Mutex<BTreeMap<String, Session>>,
}

impl Sessions {
    /// None is known until [`Sessions::read`] has read the store. `idle` is the time without use after which one ends.
    #[must_use]
    pub fn unread(store: Store, idle: Duration) -> Self {
        Self { store, idle, known: Mutex::default() }
    }

    /// Reads the sessions of the store; to be done once, before the first one begins.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read(&self) -> ApiResult<()> {
        let from = self.store.clone();
        let known = off_loop(move || {
            let mut known: BTreeMap<String, Session> = docs::load(&from, docs::SESSIONS)?;
            for (key, at) in docs::load::<i64>(&from, docs::SESSIONS_USED)? {
                match known.get_mut(&key) {
                    Some(session) => session.seen_at = session.seen_at.max(at),
                    None => drop(from.delete_doc(docs::SESSIONS_USED, &key)?),
                }
            }
            Ok(known)
        });
        *self.lock() = known.await?;
        Ok(())
    }

    /// Begins a session and answers its secret. It is always a new one: a secret that came with the request is never
    /// taken over. When the store cannot be written the session lasts as long as the process: somebody must be able to
    /// sign in and see that the disk is full.
    pub async fn begin(&self, user: &str, now: UtcMs) -> String {
        for key in self.to_drop(user, now) {
            self.end(&key).await;
        }
        let secret = random::secret();
        let session = Session { user: user.to_owned(), created_at: now.0, seen_at: now.0 };
        let (key, store, doc) = (random::sha256(&secret), self.store.clone(), session.clone());
        let at = key.clone();
        if let Err(error) = off_loop(move || docs::put(&store, docs::SESSIONS, &at, &doc)).await {
            tracing::warn!("a session could not be written and will not outlive a restart: {error}");
        }
        self.lock().insert(key, session);
        secret
    }

    /// The session of a secret and the hash it is kept under; notes that it was used.
    #[must_use]
    pub fn find(&self, secret: &str, now: UtcMs) -> Option<(String, Session)> {
        let key = random::sha256(secret);
        let mut known = self.lock();
        let session = known.get_mut(&key)?;
        if self.is_over(session, now) {
            return None;
        }
        if now.since(UtcMs(session.seen_at)) >= SEEN_EVERY {
            session.seen_at = now.0;
            docs::note_later(&self.store, docs::SESSIONS_USED, &key, now.0);
        }
        Some((key, session.clone()))
    }

    /// Ends the session kept under `key`: for this process at once, whatever the store says.
    pub async fn end(&self, key: &str) {
        self.lock().remove(key);
        let (store, key) = (self.store.clone(), key.to_owned());
        let gone = off_loop(move || {
            store.delete_doc(docs::SESSIONS, &key)?;
            store.delete_doc(docs::SESSIONS_USED, &key)?;
            Ok(())
        });
        if let Err(error) = gone.await {
            tracing::warn!("an ended session could not be removed from the history: {error}");
        }
    }

    /// Ends all sessions of a user.
    pub async fn end_all_of(&self, user: &str) {
        let mine = |(_, s): &(&String, &Session)| s.user.eq_ignore_ascii_case(user);
        let keys: Vec<String> = self.lock().iter().filter(mine).map(|(k, _)| k.clone()).collect();
        for key in keys {
            self.end(&key).await;
        }
    }

    /// Sessions that are over, and those of `user` (or of all) beyond the limits.
    fn to_drop(&self, user: &str, now: UtcMs) -> Vec<String> {
        let known = self.lock();
        let mut out: Vec<String> = known.iter().filter(|(_, s)| self.is_over(s, now)).map(|(k, _)| k.clone()).collect();
        let mut oldest_beyond = |limit: usize, mine: &dyn Fn(&Session) -> bool| {
            let mut alive: Vec<_> = known.iter().filter(|(k, s)| mine(s) && !out.contains(k)).collect();
            alive.sort_by_key(|(_, s)| s.seen_at);
            let surplus = (alive.len() + 1).saturating_sub(limit);
            let gone: Vec<String> = alive.into_iter().take(surplus).map(|(k, _)| k.clone()).collect();
            out.extend(gone);
        };
        oldest_beyond(MAX_PER_USER, &|s| s.user.eq_ignore_ascii_case(user));
        oldest_beyond(MAX_SESSIONS, &|_| true);
        out
    }

    fn is_over(&self, session: &Session, now: UtcMs) -> bool {
        now.since(UtcMs(session.seen_at)) > self.idle.max(SEEN_EVERY) || now.since(UtcMs(session.created_at)) > ABSOLUTE
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Session>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secret in the cookie of a request.
#[must_use]
pub fn secret_of(headers: &HeaderMap, tls: bool) -> Option<&str> {
    let name = cookie_name(tls);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    let pairs = lines.filter(|line| line.len() <= MAX_COOKIE_BYTES).flat_map(|line| line.split(';'));
    let mut found = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(n, _)| *n == name).map(|(_, v)| v);
    found.next().filter(|v| !v.is_empty())
}

/// The header that sets the cookie (or removes it, without a secret). It lasts as long as the browser runs or a session
/// may; the server decides the rest.
#[must_use]
pub fn set_cookie(secret: Option<&str>, tls: bool) -> HeaderValue {
    let (value, age) = secret.map_or(("", 0), |s| (s, ABSOLUTE.as_secs()));
    let secure = if tls { "; Secure" } else { "" };
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={age}{secure}", cookie_name(tls));
    HeaderValue::try_from(text).expect("the secret is made of letters that headers may hold")
}

fn cookie_name(tls: bool) -> &'static str {
    if tls { COOKIE_TLS } else { COOKIE }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::Settings;

    use super::*;

    fn store_in(folder: &tempfile::TempDir) -> Store {
        let clock = Arc::new(net::clock::SystemClock::new());
        Store::open(Settings::new(folder.path().join("h.db")), clock).expect("opens").0
    }

    #[tokio::test]
    async fn sessions_end_by_time_and_by_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let hour = Duration::from_secs(3600);
        let sessions = Sessions::unread(store_in(&folder), hour);
        sessions.read().await.expect("reads");
        let t0 = UtcMs(1_000_000_000_000);
        let secret = sessions.begin("u", t0).await;
        assert!(sessions.find(&secret, t0.plus(hour / 2)).is_some(), "use keeps it alive");
        assert!(sessions.find(&secret, t0.plus(hour / 2 + hour)).is_some());
        assert!(sessions.find(&secret, t0.plus(hour * 4)).is_none(), "idle for too long");
        assert!(sessions.find("another", t0).is_none());

        let mut at = t0;
        let long = sessions.begin("u", t0).await;
        while at < t0.plus(ABSOLUTE) {
            at = at.plus(hour);
            let alive = sessions.find(&long, at).is_some();
            assert_eq!(alive, at <= t0.plus(ABSOLUTE), "no use keeps it for ever");
        }
        let secrets: Vec<_> = {
            let mut all = Vec::new();
            for i in 0..20 {
                all.push(sessions.begin("v", at.plus(Duration::from_secs(i))).await);
            }
            all
        };
        let alive = secrets.iter().filter(|s| sessions.find(s, at).is_some()).count();
        assert_eq!(alive, MAX_PER_USER);
        assert!(sessions.find(&secrets[19], at).is_some() && sessions.find(&secrets[0], at).is_none());
        sessions.end_all_of("V").await;
        assert!(sessions.find(&secrets[19], at).is_none());
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for (line, tls, wanted) in [
            ("a=b; streampulse_session=xyz; c=d", false, Some("xyz")),
            ("streampulse_session=", false, None),
            ("xstreampulse_session=1", false, None),
            ("streampulse_session=plain", true, None),
            ("__Host-streampulse_session=s", true, Some("s")),
            ("", false, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, line.parse().expect("value"));
            assert_eq!(secret_of(&headers, tls), wanted, "{line}");
        }
    }

    #[test]
    fn the_cookie_says_who_may_read_it() {
        let text = |v: HeaderValue| v.to_str().expect("text").to_owned();
        let plain = text(set_cookie(Some("s"), false));
        assert!(
            plain.starts_with("streampulse_session=s; Path=/; HttpOnly; SameSite=Strict") && !plain.contains("Secure")
        );
        assert!(
            text(set_cookie(Some("s"), true)).starts_with("__Host-")
                && text(set_cookie(None, true)).contains("Max-Age=0")
        );
        assert!(text(set_cookie(Some("s"), true)).ends_with("; Secure"));
    }
}
