//! The last line of defence against masks. Whoever shows a secret as `***` puts it back before it asks for an edit; a mask
//! that is still there is refused here and never written over a secret. Puts nothing back itself.

use model::address::is_secret_name;
use model::conf::{Problem, Value};
use model::secret::MASK;

/// Refuses a value in which a mask stands in place of a secret. `path` is where the value belongs.
///
/// # Errors
/// One problem for each mask.
pub(super) fn refuse(path: &str, value: &Value) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    collect(path, value, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

fn collect(path: &str, value: &Value, problems: &mut Vec<Problem>) {
    match value {
        Value::Str(text) if text == MASK || in_url(text) => {
            let message = format!("{MASK} stands here in place of a secret");
            let remedy = "write the secret itself, or a reference such as ${NAME} to the environment";
            problems.push(Problem::new(None, path, message).with_remedy(remedy));
        }
        Value::List(items) => {
            for (at, item) in items.iter().enumerate() {
                collect(&format!("{path}[{at}]"), &item.value, problems);
            }
        }
        Value::Map(pairs) => {
            pairs.iter().for_each(|(key, node)| collect(&format!("{path}.{key}"), &node.value, problems))
        }
        _ => {}
    }
}

/// Whether the password of a URL, or a parameter of its query that is secret by name, is a mask. Looks at the signs around
/// the mask and reads no URL: browsers' odd spellings (`http:/u:***@h`) count as well.
fn in_url(text: &str) -> bool {
    let is_mask = |(name, value): (&str, &str)| value == MASK && is_secret_name(name);
    text.contains(&format!(":{MASK}@"))
        || text.split(['?', '&', '#', '}']).filter_map(|pair| pair.split_once('=')).any(is_mask)
}

#[cfg(test)]
mod tests {
    use model::conf::Node;

    use super::*;

    #[test]
    fn a_mask_is_refused_wherever_it_stands() {
        let s = |text: &str| Value::Str(text.to_owned());
        for text in [
            "***",
            "rtsp://u:***@h/x",
            "rtsp://${U:-adm}:***@h:554/",
            "http://h/?a=1&token=***",
            "http://h/?token=***&a=1",
            "http://h/?token=***#top",
            "${ALL:-rtsp://u:***@h/z}",
            "${ALL:-http://h/?token=***}",
            "http:/u:***@h/",
            r"http:\\u:***@h",
        ] {
            let problems = refuse("url", &s(text)).expect_err(text);
            assert_eq!((problems.len(), problems[0].path.as_str()), (1, "url"), "{text}");
            assert!(problems[0].remedy.is_some(), "{text}");
        }
        let pairs = |pairs: &[(&str, Value)]| {
            Value::Map(pairs.iter().map(|(k, v)| ((*k).to_owned(), Node::bare(v.clone()))).collect())
        };
        let deep = pairs(&[
            ("Accept", s("*/*")),
            ("Authorization", s(MASK)),
            ("more", Value::List(vec![Node::bare(s("a")), Node::bare(s(MASK))])),
        ]);
        let problems = refuse("headers", &deep).expect_err("two masks");
        let paths: Vec<&str> = problems.iter().map(|p| p.path.as_str()).collect();
        assert_eq!(paths, ["headers.Authorization", "headers.more[1]"]);
    }

    #[test]
    fn what_is_no_mask_passes() {
        for text in ["", "**", "a *** b", "http://h/***", "http://h/?page=***", "rtsp://u:p***@h/", "${PW}"] {
            assert_eq!(refuse("x", &Value::Str(text.to_owned())), Ok(()), "{text}");
        }
        for value in [Value::Null, Value::Int(3), Value::Bool(true)] {
            assert_eq!(refuse("x", &value), Ok(()));
        }
    }
}
