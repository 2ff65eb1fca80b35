//! What waits to be written: bounded, in order, with a rule for what is given up first. Owns no thread and no SQL.

use std::collections::VecDeque;

use model::limits::STORE_QUEUE;

use crate::types::Write;

/// A thing to write with its number; numbers count up.
pub(crate) type Numbered = (u64, Write);

/// Two lines that are merged by number: observations and what units used, which are given up oldest first when it gets too full, and
/// everything else, which is given up only when no observation is left.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    observations: VecDeque<Numbered>,
    others: VecDeque<Numbered>,
    next: u64,
    lost: u64,
}

impl Queue {
    /// Appends; `false` when this very thing was given up.
    pub(crate) fn push(&mut self, write: Write) -> bool {
        let number = self.next;
        self.next += 1;
        let line = if is_observation(&write) { &mut self.observations } else { &mut self.others };
        line.push_back((number, write));
        self.trim(STORE_QUEUE);
        let newest = |line: &VecDeque<Numbered>| line.back().is_some_and(|(n, _)| *n == number);
        newest(&self.observations) || newest(&self.others)
    }

    /// Takes up to `most` of the oldest.
    pub(crate) fn take(&mut self, most: usize) -> Vec<Numbered> {
        let mut batch = Vec::with_capacity(most.min(self.len()));
        while batch.len() < most {
            let front = |line: &VecDeque<Numbered>| line.front().map(|(n, _)| *n);
            let line = match (front(&self.observations), front(&self.others)) {
                (None, None) => break,
                (Some(o), Some(x)) if o < x => &mut self.observations,
                (Some(_), None) => &mut self.observations,
                _ => &mut self.others,
            };
            batch.extend(line.pop_front());
        }
        batch
    }

    /// Puts back what could not be written, before everything else.
    pub(crate) fn put_back(&mut self, batch: Vec<Numbered>) {
        for (number, write) in batch.into_iter().rev() {
            let line = if is_observation(&write) { &mut self.observations } else { &mut self.others };
            line.push_front((number, write));
        }
        self.trim(STORE_QUEUE);
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.observations.len() + self.others.len()
    }

    /// The smallest number that waits.
    pub(crate) fn oldest(&self) -> Option<u64> {
        [self.observations.front(), self.others.front()].into_iter().flatten().map(|(n, _)| *n).min()
    }

    /// The number that the next one gets.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// How many were given up in all.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    fn trim(&mut self, most: usize) {
        while self.len() > most {
            if self.observations.pop_front().is_none() {
                self.others.pop_front();
            }
            self.lost += 1;
        }
    }
}

fn is_observation(write: &Write) -> bool {
    matches!(write, Write::Observation(..) | Write::UnitSample(..))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use model::observation::{Look, Observation};
    use model::status::Status;
    use model::target::TargetId;
    use model::time::UtcMs;
    use model::verdict::{Grade, Verdict};

    use super::*;

    fn look(at: i64) -> Write {
        let target = TargetId::parse("t").unwrap();
        let seen = Observation { target, at: UtcMs(at), took: Duration::ZERO, attempts: 1, look: Look::default() };
        Write::Observation(Arc::new(seen), Arc::new(Verdict { grade: Grade::Pass, reasons: vec![] }), Status::Up)
    }

    #[test]
    fn order_is_kept_across_the_two_lines_and_across_put_back() {
        let mut queue = Queue::default();
        for n in 0..6 {
            let write = if n % 2 == 0 { look(n) } else { Write::Alive(UtcMs(n)) };
            assert!(queue.push(write));
        }
        let batch = queue.take(4);
        assert_eq!(queue.oldest(), Some(4));
        queue.put_back(batch);
        assert_eq!(queue.oldest(), Some(0));
        let numbers: Vec<_> = queue.take(100).iter().map(|(n, _)| *n).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
        assert_eq!((queue.oldest(), queue.next(), queue.len()), (None, 6, 0));
    }

    #[test]
    fn the_oldest_observations_go_first_and_changes_only_after_them() {
        let mut queue = Queue::default();
        assert!(queue.push(Write::Alive(UtcMs(0))));
        for n in 0..STORE_QUEUE as i64 + 5 {
            assert!(queue.push(look(n)), "the newest observation is kept");
        }
        assert_eq!((queue.len(), queue.lost()), (STORE_QUEUE, 6));
        for n in 0..STORE_QUEUE as i64 {
            assert!(queue.push(Write::Alive(UtcMs(n))));
        }
        assert_eq!(queue.oldest(), Some(STORE_QUEUE as u64 + 6), "all observations and one other were given up");
        assert!(!queue.push(look(1)), "no room is made among changes for an observation");
        assert_eq!(queue.len(), STORE_QUEUE);
    }
}
