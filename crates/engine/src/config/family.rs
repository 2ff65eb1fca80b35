//! Parents of targets: that they exist, and that nobody is their own ancestor. Knows nothing of what they explain.

use std::collections::HashMap;

use model::conf::{Place, Problem};
use model::target::{Target, TargetId};

use super::tree::Item;

/// Targets that have parents, with where they say so.
#[derive(Default)]
pub(super) struct Family {
    order: Vec<TargetId>,
    members: HashMap<TargetId, Member>,
}

struct Member {
    parents: Vec<TargetId>,
    place: Place,
    path: String,
}

impl Family {
    /// Notes a target. `item` holds its keys in effect.
    pub(super) fn add(&mut self, target: &Target, item: &Item, path: &str) {
        if target.parents.is_empty() {
            return;
        }
        let place = item.get("parents").map_or(item.place, |p| p.place);
        let member = Member { parents: target.parents.clone(), place, path: format!("{path}.parents") };
        self.order.push(target.id.clone());
        self.members.insert(target.id.clone(), member);
    }

    /// Says which parents are unknown, and where a circle is.
    pub(super) fn check(&self, known: impl Fn(&TargetId) -> bool, problems: &mut Vec<Problem>) {
        let mut done: HashMap<&TargetId, bool> = HashMap::new();
        for id in &self.order {
            let Some(member) = self.members.get(id) else { continue };
            for parent in member.parents.iter().filter(|p| !known(p)) {
                let message = format!("there is no target {parent}");
                let problem = Problem::new(Some(member.place), &member.path, message);
                problems
                    .push(problem.with_remedy("parents are named by their ids; the list on the dashboard shows them"));
            }
            if let Some(circle) = self.circle(id, &mut done) {
                let names: Vec<&str> = circle.iter().map(TargetId::as_str).collect();
                let message = format!("the parents go round in a circle: {}", names.join(" → "));
                let problem = Problem::new(Some(member.place), &member.path, message);
                problems.push(problem.with_remedy("write `parents:` without a value at the one that needs no other"));
            }
        }
    }

    /// A circle that is reached from `start` and was not told yet. Walks without recursion: chains may be long.
    fn circle<'a>(&'a self, start: &'a TargetId, done: &mut HashMap<&'a TargetId, bool>) -> Option<Vec<TargetId>> {
        // In `done`: false while on the way, true when everything above is known to be good, or was told.
        let mut way: Vec<(&TargetId, usize)> = vec![(start, 0)];
        let mut found = None;
        if done.contains_key(start) {
            return None;
        }
        done.insert(start, false);
        while let Some((id, next)) = way.last_mut() {
            let parent = self.members.get(*id).and_then(|m| m.parents.get(*next));
            *next += 1;
            match parent {
                None => {
                    done.insert(id, true);
                    way.pop();
                }
                Some(parent) => match done.get(parent) {
                    Some(true) => {}
                    Some(false) => {
                        let from = way.iter().position(|(id, _)| *id == parent).unwrap_or_default();
                        let mut circle: Vec<TargetId> = way[from..].iter().map(|(id, _)| (*id).clone()).collect();
                        circle.push(parent.clone());
                        found.get_or_insert(circle);
                    }
                    None => {
                        done.insert(parent, false);
                        way.push((parent, 0));
                    }
                },
            }
        }
        found
    }
}
