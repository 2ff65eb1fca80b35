//! What waits to be written: lines in order, bounded by bytes. Owns which line goes first, what is given up when the room is
//! full, and the counts. One short lock per call; nobody ever waits for room.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

/// What a line costs beside its letters: its place in the list and the allocator's own.
const LINE_COST: usize = 48;

/// The lines that wait.
#[derive(Debug)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    /// A whole batch waits.
    full: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    lines: VecDeque<Box<str>>,
    bytes: usize,
    room: usize,
    /// Number of the first line in `lines`; counts up for ever.
    first: u64,
    /// Lines numbered below this are under way.
    under_way: u64,
    /// Of those under way, how many were given up meanwhile to make room.
    given_up: u64,
    counts: Counts,
}

/// What became of the lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Written.
    pub(crate) sent: u64,
    /// Given up: for want of room, or because the server refuses them.
    pub(crate) dropped: u64,
    /// Waiting.
    pub(crate) queued: u64,
}

/// Lines that are under way to the server. They stay in the queue until [`Queue::done`].
#[derive(Debug)]
pub(crate) struct Batch {
    /// The lines, one after another.
    pub(crate) text: String,
    /// How many.
    pub(crate) lines: u64,
    end: u64,
}

impl Queue {
    /// An empty queue with room for so many bytes.
    pub(crate) fn new(room: usize) -> Self {
        Self { inner: Mutex::new(Inner { room, ..Inner::default() }), full: Notify::new() }
    }

    fn with<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a line at the end. Where there is no room the oldest go.
    pub(crate) fn push(&self, line: Box<str>, batch_bytes: usize) {
        let full = self.with(|inner| {
            inner.bytes += line.len() + LINE_COST;
            inner.lines.push_back(line);
            inner.make_room();
            inner.bytes >= batch_bytes
        });
        if full {
            self.full.notify_one();
        }
    }

    /// Other bounds; what does not fit any more goes.
    pub(crate) fn set_room(&self, room: usize) {
        self.with(|inner| {
            inner.room = room;
            inner.make_room();
        });
    }

    /// Comes back after `interval`, or as soon as a whole batch waits.
    pub(crate) async fn ripe(&self, interval: Duration) {
        let _ = tokio::time::timeout(interval, self.full.notified()).await;
    }

    /// The oldest lines, at most so many bytes but at least one line; `None` when nothing waits.
    pub(crate) fn batch(&self, max_bytes: usize) -> Option<Batch> {
        self.with(|inner| {
            let mut bytes = 0;
            let fits = inner.lines.iter().take_while(|line| {
                bytes += line.len();
                bytes <= max_bytes
            });
            let count = fits.count().max(1).min(inner.lines.len());
            if count == 0 {
                return None;
            }
            let text: String = inner.lines.range(..count).map(AsRef::as_ref).collect();
            let lines = count as u64;
            let end = inner.first + lines;
            // What was under way before was cut off: its lines were not taken.
            inner.counts.dropped += inner.given_up;
            (inner.under_way, inner.given_up) = (end, 0);
            Some(Batch { text, lines, end })
        })
    }

    /// A batch came to its end: `refused` of its lines the server will never take, the others it took.
    pub(crate) fn done(&self, batch: &Batch, refused: u64) {
        self.with(|inner| {
            let refused = refused.min(batch.lines);
            inner.counts.sent += batch.lines - refused;
            inner.counts.dropped += refused;
            // Lines that had to make room meanwhile are counted by what became of them.
            (inner.under_way, inner.given_up) = (0, 0);
            while inner.first < batch.end {
                inner.pop();
            }
        });
    }

    /// A batch was not taken: its lines go on waiting, except those that had to make room meanwhile.
    pub(crate) fn back(&self) {
        self.with(|inner| {
            inner.counts.dropped += inner.given_up;
            (inner.under_way, inner.given_up) = (0, 0);
        });
    }

    /// What became of the lines.
    pub(crate) fn counts(&self) -> Counts {
        self.with(|inner| Counts { queued: inner.lines.len() as u64, ..inner.counts })
    }
}

impl Inner {
    fn pop(&mut self) {
        if let Some(line) = self.lines.pop_front() {
            self.bytes -= line.len() + LINE_COST;
        }
        self.first += 1;
    }

    fn make_room(&mut self) {
        while self.bytes > self.room && !self.lines.is_empty() {
            if self.first < self.under_way {
                self.given_up += 1;
            } else {
                self.counts.dropped += 1;
            }
            self.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: usize = LINE_COST + 2;

    fn filled(room_lines: usize, lines: u32) -> Queue {
        let queue = Queue::new(room_lines * COST);
        (0..lines).for_each(|i| queue.push(format!("{}\n", i % 10).into(), usize::MAX));
        queue
    }

    fn counts(queue: &Queue) -> (u64, u64, u64) {
        let c = queue.counts();
        (c.sent, c.dropped, c.queued)
    }

    #[test]
    fn the_oldest_make_room_and_every_line_is_counted_once() {
        let queue = filled(3, 5);
        assert_eq!((queue.batch(4).expect("lines").text.as_str(), counts(&queue)), ("2\n3\n", (0, 2, 3)));
        // Two of the batch have to make room while it is under way, and are written all the same.
        let batch = queue.batch(4).expect("lines");
        (5..8).for_each(|i| queue.push(format!("{i}\n").into(), usize::MAX));
        assert_eq!(counts(&queue), (0, 3, 3));
        queue.done(&batch, 0);
        assert_eq!(counts(&queue), (2, 3, 3));
        // The same with a batch that was not taken, and one of which a line is refused.
        let batch = queue.batch(2).expect("a line");
        assert_eq!((batch.text.as_str(), batch.lines), ("5\n", 1));
        queue.push("8\n".into(), usize::MAX);
        queue.back();
        assert_eq!(counts(&queue), (2, 4, 3));
        let batch = queue.batch(usize::MAX).expect("lines");
        queue.done(&batch, 1);
        assert_eq!((counts(&queue), queue.batch(9).is_none()), ((4, 5, 0), true));
    }

    #[test]
    fn a_batch_has_a_line_at_least_and_less_room_drops() {
        let queue = filled(9, 9);
        assert_eq!(queue.batch(1).expect("one").lines, 1);
        queue.back();
        queue.set_room(2 * COST);
        assert_eq!(counts(&queue), (0, 7, 2));
        queue.set_room(0);
        assert_eq!(counts(&queue), (0, 9, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_whole_batch_does_not_wait_for_the_interval() {
        let queue = Queue::new(10 * COST);
        queue.push("1\n".into(), 2 * COST);
        let began = tokio::time::Instant::now();
        queue.ripe(Duration::from_secs(10)).await;
        assert_eq!(began.elapsed().as_secs(), 10);
        queue.push("2\n".into(), 2 * COST);
        queue.ripe(Duration::from_secs(10)).await;
        assert_eq!(began.elapsed().as_secs(), 10);
    }
}
