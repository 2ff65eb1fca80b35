//! What needs what: that every name is known, and that nothing waits for itself.

use std::collections::HashMap;

use model::conf::{Place, Problem, words};
use model::unit::spec::Unit;

/// A unit with where its `needs` stand.
pub(super) struct Needing<'a> {
    pub(super) unit: &'a Unit,
    pub(super) place: Option<Place>,
    pub(super) path: String,
}

/// Tells unknown names and every circle once, at the first of the file that is in it.
pub(super) fn check(units: &[Needing<'_>], known: &[&str], problems: &mut Vec<Problem>) {
    for needing in units {
        for need in &needing.unit.needs {
            if !known.contains(&need.as_str()) {
                let remedy = match words::nearest(need.as_str(), known.iter().copied()) {
                    Some(near) => format!("did you mean {near}?"),
                    None => "name a service of this file".to_owned(),
                };
                let message = format!("there is no service {need}");
                problems.push(Problem::new(needing.place, &needing.path, message).with_remedy(remedy));
            }
        }
    }
    let by_id: HashMap<&str, usize> = units.iter().enumerate().map(|(i, n)| (n.unit.id.as_str(), i)).collect();
    let mut done = vec![false; units.len()];
    for start in 0..units.len() {
        let Some(circle) = circle(units, &by_id, start, &mut done) else { continue };
        let names: Vec<&str> = circle.iter().map(|i| units[*i].unit.id.as_str()).collect();
        let message = match names.as_slice() {
            [one] => format!("{one} needs itself"),
            _ => format!("none of these could start first: {} -> {}", names.join(" -> "), names[0]),
        };
        let first = &units[circle.iter().copied().min().unwrap_or(start)];
        problems.push(Problem::new(first.place, &first.path, message).with_remedy("take one of the needs away"));
    }
}

/// A circle that can be reached from `start` and was not told yet. What was walked through is done: walked without
/// recursion, so that no file can exhaust the stack.
fn circle(units: &[Needing<'_>], by_id: &HashMap<&str, usize>, start: usize, done: &mut [bool]) -> Option<Vec<usize>> {
    let mut way: Vec<(usize, usize)> = Vec::new(); // unit, how many of its needs were followed
    let mut found = None;
    if !done[start] {
        way.push((start, 0));
    }
    while let Some((at, next)) = way.last_mut() {
        let at = *at;
        let Some(need) = units[at].unit.needs.get(*next) else {
            done[at] = true;
            way.pop();
            continue;
        };
        *next += 1;
        let Some(&to) = by_id.get(need.as_str()) else { continue };
        if let Some(from) = way.iter().position(|(i, _)| *i == to) {
            found.get_or_insert_with(|| way[from..].iter().map(|(i, _)| *i).collect());
        } else if !done[to] {
            way.push((to, 0));
        }
    }
    found
}
