//! Packets back in their order: holds those behind a hole until it is filled, given up by the sender, or too late. Owns the list
//! of what is missing; asks for nothing itself.

use std::collections::VecDeque;
use std::time::Duration;

use super::Seq;
use super::receiver::Delivery;

/// Packets behind the first hole that are held: the flow window that our handshake announces.
pub(crate) const WINDOW: usize = 8192;
/// Farthest jump of the numbers that is believed; a sender never has so many under way.
const MAX_JUMP: usize = 1 << 20;
/// Ranges of given up packets that are remembered, to tell what comes too late from what comes twice.
const MAX_GIVEN_UP: usize = 64;

/// Whoever takes the media.
pub(crate) type Each<'a> = &'a mut dyn FnMut(Delivery<'_>);

enum Slot {
    /// It may still come.
    Missing,
    /// It will not come, or came and cannot be read.
    Gone,
    /// It is here.
    Held { payload: Vec<u8>, due: Duration },
}

/// What became of a packet.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    /// It follows what came before.
    Next,
    /// These are missing before it.
    After(Seq, Seq),
    /// It was missing.
    Found,
    /// It came before.
    Twice,
    /// It had been given up.
    Late,
    /// Its number is none that the sender can have reached.
    Far,
}

/// The order of packets.
pub(crate) struct Order {
    next: Seq,
    slots: VecDeque<Slot>,
    missing: usize,
    lost_before: u32,
    given_up: VecDeque<(Seq, Seq)>,
    /// Packets that were missing, and those that were given up.
    pub(crate) lost: u64,
    pub(crate) dropped: u64,
}

impl Order {
    pub(crate) const fn new(first: Seq) -> Self {
        Self {
            next: first,
            slots: VecDeque::new(),
            missing: 0,
            lost_before: 0,
            given_up: VecDeque::new(),
            lost: 0,
            dropped: 0,
        }
    }

    /// All before this have come or were given up.
    pub(crate) const fn next(&self) -> Seq {
        self.next
    }

    pub(crate) const fn is_whole(&self) -> bool {
        self.missing == 0
    }

    /// Room for packets behind a hole.
    pub(crate) fn room(&self) -> usize {
        WINDOW.saturating_sub(self.slots.len())
    }

    /// Takes a packet; one that cannot be read has no payload.
    pub(crate) fn place(&mut self, seq: Seq, due: Duration, payload: Option<&[u8]>, each: Each<'_>) -> Placed {
        let Ok(at) = usize::try_from(seq.after(self.next)) else {
            let is_late = self.given_up.iter().any(|(first, last)| seq.after(*first) >= 0 && last.after(seq) >= 0);
            return if is_late { Placed::Late } else { Placed::Twice };
        };
        if at > MAX_JUMP {
            return Placed::Far;
        }
        if at == 0 && self.slots.is_empty() {
            self.deliver(payload, each);
            return Placed::Next;
        }
        let filled = match payload {
            Some(payload) => Slot::Held { payload: payload.to_vec(), due },
            None => Slot::Gone,
        };
        if let Some(slot) = self.slots.get_mut(at) {
            match slot {
                Slot::Held { .. } => return Placed::Twice,
                Slot::Gone => return Placed::Late,
                Slot::Missing => *slot = filled,
            }
            self.missing -= 1;
            self.drain(each);
            return Placed::Found;
        }
        let before = self.slots.len();
        self.extend(at, each);
        self.slots.push_back(filled);
        self.drain(each);
        // Making room may have given up a part of the hole, or all of it.
        let gap = seq.after(self.next).min(i32::try_from(at - before).unwrap_or(i32::MAX));
        if gap <= 0 {
            Placed::Next
        } else {
            Placed::After(seq.plus(gap.wrapping_neg().cast_unsigned()), seq.plus(u32::MAX))
        }
    }

    /// Makes slots up to number `at` after the next, all missing; lets go of the oldest where there is no room.
    fn extend(&mut self, at: usize, each: Each<'_>) {
        let new = at - self.slots.len();
        self.lost += new as u64;
        let mut over = (at + 1).saturating_sub(WINDOW);
        while over > 0 && !self.slots.is_empty() {
            over -= 1;
            self.release(each);
        }
        // What not even an empty window has room for.
        let skipped = over.min(new);
        self.skip(u32::try_from(skipped).unwrap_or(u32::MAX));
        let new = new - skipped;
        self.slots.extend(std::iter::repeat_with(|| Slot::Missing).take(new));
        self.missing += new;
    }

    /// Lets go of the first slot, whatever it is.
    fn release(&mut self, each: Each<'_>) {
        match self.slots.pop_front() {
            Some(Slot::Held { payload, .. }) => self.deliver(Some(&payload), each),
            Some(Slot::Gone) => self.deliver(None, each),
            Some(Slot::Missing) => {
                self.missing -= 1;
                self.skip(1);
            }
            None => {}
        }
    }

    /// Gives up the next packets, which have no slots.
    fn skip(&mut self, count: u32) {
        if count == 0 {
            return;
        }
        self.note_given_up(self.next, self.next.plus(count - 1));
        self.dropped += u64::from(count);
        self.lost_before = self.lost_before.saturating_add(count);
        self.next = self.next.plus(count);
    }

    fn note_given_up(&mut self, first: Seq, last: Seq) {
        match self.given_up.back_mut() {
            Some((_, end)) if end.plus(1) == first => *end = last,
            _ => {
                if self.given_up.len() == MAX_GIVEN_UP {
                    self.given_up.pop_front();
                }
                self.given_up.push_back((first, last));
            }
        }
    }

    fn deliver(&mut self, payload: Option<&[u8]>, each: Each<'_>) {
        self.next = self.next.plus(1);
        match payload {
            Some(bytes) => each(Delivery { bytes, lost: std::mem::take(&mut self.lost_before) }),
            None => self.lost_before = self.lost_before.saturating_add(1),
        }
    }

    /// Hands over what follows without a hole.
    fn drain(&mut self, each: Each<'_>) {
        while !matches!(self.slots.front(), None | Some(Slot::Missing)) {
            self.release(each);
        }
    }

    /// When the first packet behind the first hole is due, without the latency.
    pub(crate) fn due(&self) -> Option<Duration> {
        self.slots.iter().find_map(|slot| match slot {
            Slot::Held { due, .. } => Some(*due),
            _ => None,
        })
    }

    /// Gives up holes whose packets would come too late: what stands behind them was due before `now`.
    pub(crate) fn give_up(&mut self, now: Duration, each: Each<'_>) {
        while self.due().is_some_and(|due| due <= now) {
            while matches!(self.slots.front(), Some(Slot::Missing | Slot::Gone)) {
                self.release(each);
            }
            self.drain(each);
        }
    }

    /// The sender gave these up.
    pub(crate) fn drop_range(&mut self, first: Seq, last: Seq, each: Each<'_>) {
        let Ok(to) = usize::try_from(last.after(self.next)) else { return };
        if to > MAX_JUMP || last.after(first) < 0 {
            return;
        }
        if to >= self.slots.len() {
            self.extend(to + 1, each);
        }
        // Making room may have moved the slots.
        let from = usize::try_from(first.after(self.next)).unwrap_or(0);
        let Ok(to) = usize::try_from(last.after(self.next)) else { return };
        for index in from..(to + 1).min(self.slots.len()) {
            if matches!(self.slots[index], Slot::Missing) {
                self.slots[index] = Slot::Gone;
                self.missing -= 1;
                self.dropped += 1;
                let seq = self.next.plus(u32::try_from(index).unwrap_or(u32::MAX));
                self.note_given_up(seq, seq);
            }
        }
        self.drain(each);
    }

    /// Ranges of what is missing, in order.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = (Seq, Seq)> {
        let mut slots = self.slots.iter().enumerate().peekable();
        std::iter::from_fn(move || {
            let (first, _) = slots.find(|(_, slot)| matches!(slot, Slot::Missing))?;
            let mut last = first;
            while let Some((index, _)) = slots.next_if(|(_, slot)| matches!(slot, Slot::Missing)) {
                last = index;
            }
            let at = |index: usize| self.next.plus(u32::try_from(index).unwrap_or(u32::MAX));
            Some((at(first), at(last)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets by the last octet of their number; what was handed over, as `number` or `number!lost`.
    struct Rig {
        order: Order,
        got: Vec<String>,
    }

    impl Rig {
        fn new() -> Self {
            Self { order: Order::new(Seq::new(0x7fff_fffe)), got: Vec::new() }
        }

        fn each(got: &mut Vec<String>) -> impl FnMut(Delivery<'_>) {
            |delivery| {
                let lost = if delivery.lost > 0 { format!("!{}", delivery.lost) } else { String::new() };
                got.push(format!("{}{lost}", delivery.bytes[0]));
            }
        }

        /// Number `at` after the first.
        fn place(&mut self, at: u32) -> Placed {
            let seq = Seq::new(0x7fff_fffe).plus(at);
            let payload = [u8::try_from(at % 256).expect("small")];
            let due = Duration::from_millis(at.into());
            self.order.place(seq, due, Some(&payload), &mut Self::each(&mut self.got))
        }

        fn got(&mut self) -> String {
            std::mem::take(&mut self.got).join(" ")
        }

        fn at(at: u32) -> Seq {
            Seq::new(0x7fff_fffe).plus(at)
        }
    }

    #[test]
    fn order_is_restored_across_the_end_of_the_numbers() {
        let mut rig = Rig::new();
        assert_eq!(rig.place(0), Placed::Next);
        assert_eq!(rig.place(3), Placed::After(Rig::at(1), Rig::at(2)));
        assert_eq!(rig.place(4), Placed::Next);
        assert_eq!(rig.place(6), Placed::After(Rig::at(5), Rig::at(5)));
        assert_eq!(rig.got(), "0");
        assert_eq!(rig.order.ranges().collect::<Vec<_>>(), [(Rig::at(1), Rig::at(2)), (Rig::at(5), Rig::at(5))]);
        assert_eq!(rig.place(2), Placed::Found);
        assert_eq!(rig.place(2), Placed::Twice);
        assert_eq!(rig.place(1), Placed::Found);
        assert_eq!(rig.got(), "1 2 3 4");
        assert_eq!((rig.place(0), rig.place(5)), (Placed::Twice, Placed::Found));
        assert_eq!(rig.got(), "5 6");
        assert_eq!((rig.order.lost, rig.order.dropped, rig.order.is_whole()), (3, 0, true));
    }

    #[test]
    fn holes_are_given_up_when_what_follows_is_due() {
        let mut rig = Rig::new();
        [0, 3, 4, 6].into_iter().for_each(|at| _ = rig.place(at));
        rig.order.give_up(Duration::from_millis(2), &mut Rig::each(&mut rig.got));
        assert_eq!(rig.got(), "0");
        rig.order.give_up(Duration::from_millis(5), &mut Rig::each(&mut rig.got));
        assert_eq!(rig.got(), "3!2 4");
        assert_eq!((rig.place(1), rig.place(2), rig.place(3)), (Placed::Late, Placed::Late, Placed::Twice));
        rig.order.give_up(Duration::from_millis(6), &mut Rig::each(&mut rig.got));
        assert_eq!((rig.got().as_str(), rig.order.dropped, rig.order.lost), ("6!1", 3, 3));
    }

    #[test]
    fn the_sender_may_give_up_what_never_came() {
        let mut rig = Rig::new();
        [0, 2].into_iter().for_each(|at| _ = rig.place(at));
        let Rig { order, got } = &mut rig;
        order.drop_range(Rig::at(0), Rig::at(5), &mut Rig::each(got));
        assert_eq!(rig.got(), "0 2!1");
        assert_eq!((rig.place(4), rig.place(6)), (Placed::Late, Placed::Next));
        assert_eq!((rig.got().as_str(), rig.order.dropped), ("6!3", 4));
        let Rig { order, got } = &mut rig;
        order.drop_range(Rig::at(9), Rig::at(7), &mut Rig::each(got));
        order.drop_range(Rig::at(1), Rig::at(3), &mut Rig::each(got));
        assert_eq!(rig.order.dropped, 4);
    }

    #[test]
    fn the_window_is_bounded() {
        let mut rig = Rig::new();
        rig.place(0);
        rig.place(2);
        let window = u32::try_from(WINDOW).expect("small");
        assert!(matches!(rig.place(window + 1), Placed::After(..)));
        assert_eq!(rig.got(), "0 2!1", "the oldest hole made room");
        assert_eq!(rig.order.slots.len(), WINDOW - 1);
        assert!(matches!(rig.place(3 * window), Placed::After(..)));
        assert!(rig.order.slots.len() <= WINDOW && rig.order.missing < WINDOW);
        assert_eq!(rig.place(1 << 21), Placed::Far);
        let far = Rig::at(u32::try_from(MAX_JUMP).expect("it fits"));
        let Rig { order, got } = &mut rig;
        order.drop_range(Rig::at(0), far, &mut Rig::each(got));
        assert!(rig.order.slots.len() <= WINDOW && rig.order.is_whole());
        assert_eq!(rig.order.next(), far.plus(1));
    }

    #[test]
    fn what_cannot_be_read_is_a_hole_that_nobody_waits_for() {
        let mut rig = Rig::new();
        let Rig { order, got } = &mut rig;
        assert_eq!(order.place(Rig::at(0), Duration::ZERO, None, &mut Rig::each(got)), Placed::Next);
        rig.place(1);
        assert_eq!((rig.got().as_str(), rig.order.dropped), ("1!1", 0));
    }
}
