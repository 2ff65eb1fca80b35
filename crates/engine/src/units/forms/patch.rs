//! A change of a form against what is kept: every key, every value and what is missing afterwards, all problems at once. Pure.

use std::collections::BTreeMap;

use model::conf::{Problem, words};
use model::secret::MASK;
use model::unit::form::{Form, KeyType, Value};

use super::values;

/// Values by key.
pub type Values = BTreeMap<String, Value>;

/// What is set after a change: keys with a value are set, keys without are as if nobody had set them, all others stay.
///
/// # Errors
/// Every problem at once; paths are keys of the form. Holds no secret.
pub(crate) fn merge(
    form: &Form,
    kept: &Values,
    patch: &BTreeMap<String, Option<Value>>,
) -> Result<Values, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut merged = kept.clone();
    for (name, value) in patch {
        let Some(key) = form.keys.iter().find(|key| key.name == *name) else {
            let near = words::nearest(name, form.keys.iter().map(|key| key.name.as_str()));
            let remedy = near.map_or_else(
                || {
                    format!(
                        "there are {}",
                        form.keys.iter().map(|key| key.name.as_str()).collect::<Vec<_>>().join(", ")
                    )
                },
                |near| format!("did you mean {near}?"),
            );
            problems.push(Problem::new(None, name, format!("the form has no key {name}")).with_remedy(remedy));
            continue;
        };
        let Some(value) = value else {
            merged.remove(name);
            continue;
        };
        let is_mask = key.ty == KeyType::Secret && *value == Value::Text(MASK.to_owned());
        match values::fit(key, value) {
            Ok(_) if is_mask => {
                let told = Problem::new(None, name, "this is the mask that is shown in place of the secret");
                problems.push(told.with_remedy("leave the key out to keep the secret as it is"));
            }
            Ok(value) => drop(merged.insert(name.clone(), value)),
            Err(why) => problems.push(Problem::new(None, name, why)),
        }
    }
    // One slip, one problem: a key whose new value is bad is not missing too.
    let told: Vec<String> = problems.iter().map(|problem| problem.path.clone()).collect();
    problems.extend(missing(form, &merged).into_iter().filter(|problem| !told.contains(&problem.path)));
    if problems.is_empty() { Ok(merged) } else { Err(problems) }
}

/// Keys that must have a value and have none.
pub(crate) fn missing(form: &Form, kept: &Values) -> Vec<Problem> {
    let without = form.keys.iter().filter(|key| key.required && key.default.is_none() && !kept.contains_key(&key.name));
    let told = |key: &model::unit::form::Key| {
        Problem::new(None, &key.name, format!("{} is missing", key.name))
            .with_remedy("the service cannot start without it")
    };
    without.map(told).collect()
}

/// Values in effect: those that are set, and the defaults of the rest.
pub(crate) fn in_effect(form: &Form, kept: &Values) -> Values {
    let value = |key: &model::unit::form::Key| kept.get(&key.name).or(key.default.as_ref()).cloned();
    form.keys.iter().filter_map(|key| Some((key.name.clone(), value(key)?))).collect()
}
