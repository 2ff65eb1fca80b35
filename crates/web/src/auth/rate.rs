//! How often somebody may try to sign in: one bucket of attempts per address and per user. Bounded; pure but for its lock.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use model::target::TargetId;
use model::time::Mono;

/// Attempts in a row from one address, and the time after which one comes back. A person mistypes a few times.
const PER_ADDRESS: Bucket = Bucket { size: 10, refill: Duration::from_secs(30) };
/// Attempts in a row at one user from all addresses. Greater than the one per address, so that one attacker alone does
/// not lock the user out elsewhere.
const PER_USER: Bucket = Bucket { size: 20, refill: Duration::from_secs(15) };
/// Buckets kept in each table. When full, those that are full of attempts again go first, then the oldest.
const MAX_BUCKETS: usize = 4096;

#[derive(Clone, Copy)]
struct Bucket {
    size: u32,
    refill: Duration,
}

/// What is left in a bucket, as the time until it is full again (the cell of a leaky bucket).
struct Table<K> {
    full_at: HashMap<K, Duration>,
}

impl<K> Default for Table<K> {
    fn default() -> Self {
        Self { full_at: HashMap::new() }
    }
}

impl<K: std::hash::Hash + Eq + Clone> Table<K> {
    /// Takes one attempt out. `Err` holds the time until there is one.
    fn take(&mut self, bucket: Bucket, key: K, now: Duration) -> Result<(), Duration> {
        let whole = bucket.refill * bucket.size;
        let full_at = self.full_at.get(&key).copied().unwrap_or_default().max(now);
        let next = full_at + bucket.refill;
        if next - now > whole {
            return Err(next - now - whole);
        }
        if self.full_at.len() >= MAX_BUCKETS && !self.full_at.contains_key(&key) {
            self.make_room(now);
        }
        self.full_at.insert(key, next);
        Ok(())
    }

    fn give_back(&mut self, bucket: Bucket, key: &K) {
        if let Some(full_at) = self.full_at.get_mut(key) {
            *full_at = full_at.saturating_sub(bucket.refill);
        }
    }

    fn make_room(&mut self, now: Duration) {
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= MAX_BUCKETS
            && let Some(key) = self.full_at.iter().min_by_key(|(_, at)| **at).map(|(k, _)| k.clone())
        {
            self.full_at.remove(&key);
        }
    }
}

/// Counts attempts to sign in.
#[derive(Default)]
pub struct Limiter {
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    addresses: Table<IpAddr>,
    users: Table<String>,
    /// Where users signed in with the right password since the start: guesses made elsewhere do not lock them out there.
    homes: HashMap<(String, IpAddr), Mono>,
}

impl Tables {
    /// Remembers where a user is at home; the place that was used longest ago goes when there are too many.
    fn remember(&mut self, home: (String, IpAddr), now: Mono) {
        if self.homes.len() >= MAX_BUCKETS
            && !self.homes.contains_key(&home)
            && let Some(oldest) = self.homes.iter().min_by_key(|(_, at)| at.0).map(|(key, _)| key.clone())
        {
            self.homes.remove(&oldest);
        }
        self.homes.insert(home, now);
    }
}

impl Limiter {
    /// Takes one attempt, before the password is looked at: parallel guesses count too.
    ///
    /// # Errors
    /// The time after which the next attempt is allowed.
    pub fn take(&self, address: IpAddr, user: &str, now: Mono) -> Result<(), Duration> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let (network, key) = (network(address), user_key(user));
        tables.addresses.take(PER_ADDRESS, network, now.0)?;
        // At home the bucket of the address is guard enough.
        if tables.homes.contains_key(&(key.clone(), network)) {
            return Ok(());
        }
        let taken = tables.users.take(PER_USER, key, now.0);
        taken.inspect_err(|_| tables.addresses.give_back(PER_ADDRESS, &network))
    }

    /// The attempt was right: it does not count.
    pub fn succeeded(&self, address: IpAddr, user: &str, now: Mono) {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let (network, key) = (network(address), user_key(user));
        tables.addresses.give_back(PER_ADDRESS, &network);
        if !tables.homes.contains_key(&(key.clone(), network)) {
            tables.users.give_back(PER_USER, &key);
        }
        tables.remember((key, network), now);
    }
}

/// Calls in a row of one push target, and the time after which one more is taken: more often than once a second is a loop
/// gone wild.
const PER_TARGET: Bucket = Bucket { size: 30, refill: Duration::from_secs(1) };
/// Wrong tokens in a row from one network, and the time after which one more is looked at.
const WRONG_TOKENS: Bucket = Bucket { size: 20, refill: Duration::from_secs(10) };

/// Counts calls of push targets. Wrong tokens count for their network alone: right calls from there still pass.
#[derive(Default)]
pub struct CallLimiter {
    tables: Mutex<(Table<IpAddr>, Table<TargetId>)>,
}

impl CallLimiter {
    /// A call with a token of nobody.
    ///
    /// # Errors
    /// The time after which the next one is answered.
    pub fn wrong(&self, address: IpAddr, now: Mono) -> Result<(), Duration> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.0.take(WRONG_TOKENS, network(address), now.0)
    }

    /// A call of a target.
    ///
    /// # Errors
    /// The time after which the next one is taken.
    pub fn right(&self, target: &TargetId, now: Mono) -> Result<(), Duration> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.1.take(PER_TARGET, target.clone(), now.0)
    }
}

/// Names of any length and spelling become keys of one size.
fn user_key(user: &str) -> String {
    super::random::sha256(&user.to_lowercase())
}

/// One customer has at least a /64 of IPv6: all of it counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let s = v6.segments();
            IpAddr::from([s[0], s[1], s[2], s[3], 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn ip(last: u32) -> IpAddr {
        IpAddr::from(last.to_be_bytes())
    }

    #[test]
    fn guesses_run_dry_and_come_back_with_time() {
        let l = Limiter::default();
        for _ in 0..10 {
            assert_eq!(l.take(ip(1), "u", at(0)), Ok(()));
        }
        assert_eq!(l.take(ip(1), "other", at(0)), Err(Duration::from_secs(30)));
        assert_eq!(l.take(ip(2), "u", at(0)), Ok(()));
        assert_eq!(l.take(ip(1), "u", at(30)), Ok(()));
        assert!(l.take(ip(1), "u", at(30)).is_err());
    }

    #[test]
    fn a_user_is_guarded_against_many_addresses() {
        let l = Limiter::default();
        let taken = (0..100).filter(|i| l.take(ip(*i), "Admin", at(0)).is_ok()).count();
        assert_eq!(taken, 20);
        assert!(l.take(ip(200), "ADMIN", at(0)).is_err());
        assert!(l.take(ip(200), "somebody else", at(0)).is_ok());
    }

    #[test]
    fn right_passwords_do_not_count() {
        let l = Limiter::default();
        for _ in 0..100 {
            assert_eq!(l.take(ip(1), "u", at(0)), Ok(()));
            l.succeeded(ip(1), "u", at(0));
        }
    }

    #[test]
    fn the_tables_are_bounded_and_an_attacker_cannot_push_himself_out() {
        let l = Limiter::default();
        for _ in 0..10 {
            l.take(ip(7), "u", at(0)).expect("ten are allowed");
        }
        for i in 0..10_000_u32 {
            let _ = l.take(ip(1000 + i), &format!("u{i}"), at(0));
        }
        assert!(l.take(ip(7), "w", at(0)).is_err());
        let tables = l.tables.lock().expect("not poisoned");
        assert!(tables.addresses.full_at.len() <= MAX_BUCKETS && tables.users.full_at.len() <= MAX_BUCKETS);
    }

    #[test]
    fn guesses_from_elsewhere_do_not_lock_a_user_out_at_home() {
        let l = Limiter::default();
        l.take(ip(1), "owner", at(0)).expect("the first");
        l.succeeded(ip(1), "owner", at(0));
        let guesses = (2..100).filter(|i| l.take(ip(*i), "owner", at(1)).is_ok()).count();
        assert_eq!(guesses, 20);
        assert!(l.take(ip(200), "owner", at(1)).is_err(), "elsewhere the user is guarded");
        let at_home = (0..100).filter(|_| l.take(ip(1), "Owner", at(1)).is_ok()).count();
        assert_eq!(at_home, 10, "at home only the attempts of that address count");
        for i in 0..10_000_u32 {
            l.succeeded(ip(1000 + i), &format!("u{i}"), at(2));
        }
        assert!(l.tables.lock().expect("not poisoned").homes.len() <= MAX_BUCKETS);
    }

    #[test]
    fn calls_are_counted_by_target_and_wrong_tokens_by_network() {
        let (l, one, other) = (CallLimiter::default(), TargetId::from_name("one"), TargetId::from_name("other"));
        assert_eq!((0..100).filter(|_| l.right(&one, at(0)).is_ok()).count(), 30);
        assert_eq!((0..100).filter(|_| l.wrong(ip(1), at(0)).is_ok()).count(), 20);
        assert!(l.right(&other, at(0)).is_ok() && l.wrong(ip(2), at(0)).is_ok());
        assert!(l.right(&one, at(1)).is_ok() && l.wrong(ip(1), at(1)).is_err() && l.wrong(ip(1), at(10)).is_ok());
    }

    #[test]
    fn a_whole_ipv6_network_is_one_address() {
        let v6 = |text: &str| text.parse::<IpAddr>().expect("valid");
        assert_eq!(network(v6("2001:db8::1")), network(v6("2001:db8::ffff:1")));
        assert_ne!(network(v6("2001:db8:0:1::1")), network(v6("2001:db8:0:2::1")));
        assert_eq!(network(v6("::ffff:10.0.0.1")), ip(0x0a00_0001));
    }
}
