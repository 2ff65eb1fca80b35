//! Puts packets back into the order in which they were sent.
//!
//! Owns the bound on what is held back. Counts nothing: that is [`super::SeqTracker`]'s.

use std::time::Duration;

/// Packets held back while one is missing: with more behind it, it is not late but lost.
const WINDOW: usize = 32;
/// How long packets are held back: more than the ways of one network differ by.
const PATIENCE: Duration = Duration::from_millis(150);
/// Numbers ahead or behind from which a sender has begun anew.
const RESTART: u16 = 3_000;

/// Packets in the order of their numbers.
#[derive(Debug, Default)]
pub struct Reorder {
    next: Option<u16>,
    /// Since when packets are held back.
    since: Option<Duration>,
    /// Packets behind one that is missing.
    held: Vec<(u16, Vec<u8>)>,
}

impl Reorder {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a packet that came at `now`, since any fixed moment, and hands over what is in order now, each with the number of
    /// packets that were given up before it. One that comes twice, or too late, is left out.
    pub fn push(&mut self, sequence: u16, payload: &[u8], now: Duration, each: &mut dyn FnMut(&[u8], u16)) {
        self.place(sequence, payload, each);
        if self.held.is_empty() {
            self.since = None;
            return;
        }
        let since = *self.since.get_or_insert(now);
        if now.saturating_sub(since) > PATIENCE {
            while !self.held.is_empty() {
                self.give_up(each);
            }
            self.since = None;
        }
    }

    fn place(&mut self, sequence: u16, payload: &[u8], each: &mut dyn FnMut(&[u8], u16)) {
        let next = *self.next.get_or_insert(sequence);
        let ahead = sequence.wrapping_sub(next);
        let behind = 0u16.wrapping_sub(ahead);
        if ahead == 0 {
            each(payload, 0);
            self.next = Some(sequence.wrapping_add(1));
            self.release(each);
        } else if ahead < RESTART {
            if !self.held.iter().any(|(known, _)| *known == sequence) {
                self.held.push((sequence, payload.to_vec()));
            }
            if self.held.len() > WINDOW {
                self.give_up(each);
            }
        } else if behind > RESTART {
            while !self.held.is_empty() {
                self.give_up(each);
            }
            each(payload, 0);
            self.next = Some(sequence.wrapping_add(1));
        }
    }

    /// Goes on behind what is missing.
    fn give_up(&mut self, each: &mut dyn FnMut(&[u8], u16)) {
        let Some(next) = self.next else { return };
        let nearest = (0..self.held.len()).min_by_key(|at| self.held[*at].0.wrapping_sub(next));
        let Some((sequence, payload)) = nearest.map(|at| self.held.swap_remove(at)) else { return };
        each(&payload, sequence.wrapping_sub(next));
        self.next = Some(sequence.wrapping_add(1));
        self.release(each);
    }

    /// Hands over what follows without a gap.
    fn release(&mut self, each: &mut dyn FnMut(&[u8], u16)) {
        while let Some(next) = self.next
            && let Some(at) = self.held.iter().position(|(sequence, _)| *sequence == next)
        {
            let (_, payload) = self.held.swap_remove(at);
            each(&payload, 0);
            self.next = Some(next.wrapping_add(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out when packets with these numbers go in, each carrying its number, one a millisecond.
    fn order(numbers: &[u16]) -> (Vec<u16>, u32) {
        order_slowly(numbers, 1)
    }

    fn order_slowly(numbers: &[u16], ms: u64) -> (Vec<u16>, u32) {
        let (mut reorder, mut seen, mut lost) = (Reorder::new(), Vec::new(), 0);
        for (number, now) in numbers.iter().zip(0u64..) {
            reorder.push(*number, &number.to_be_bytes(), Duration::from_millis(now * ms), &mut |payload, missing| {
                seen.push(u16::from_be_bytes([payload[0], payload[1]]));
                lost += u32::from(missing);
            });
        }
        (seen, lost)
    }

    #[test]
    fn order_is_restored() {
        assert_eq!(order(&[1, 2, 3]), (vec![1, 2, 3], 0));
        assert_eq!(order(&[65_534, 0, 65_535, 1]), (vec![65_534, 65_535, 0, 1], 0));
        assert_eq!(order(&[1, 4, 3, 3, 2, 2, 5]), (vec![1, 2, 3, 4, 5], 0), "doubles are left out");
        assert_eq!(order(&[5, 4, 6]), (vec![5, 6], 0), "before the first");
    }

    #[test]
    fn what_does_not_come_is_given_up() {
        let numbers: Vec<u16> = [1, 2].into_iter().chain(5..50).collect();
        let (seen, lost) = order(&numbers);
        assert_eq!((seen.len(), seen[2], seen[46], lost), (47, 5, 49, 2));
        assert_eq!(order_slowly(&[1, 3, 4, 5], 100), (vec![1, 3, 4, 5], 1), "long enough");
        assert_eq!(order_slowly(&[1, 3, 4, 5], 50), (vec![1], 0), "not yet");
        let (seen, lost) = order(&[1, 3, 20_000, 20_001]);
        assert_eq!((seen, lost), (vec![1, 3, 20_000, 20_001], 1), "the sender began anew");
    }
}
