//! Identifiers in templates of segment names (ISO/IEC 23009-1, 5.3.9.4.4): `$Number%05d$` and its relatives.
//!
//! Never resolves a URL.

use super::shown;

/// Widest padding: a number of 64 bits has twenty digits.
const MAX_WIDTH: usize = 32;

/// What identifiers stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) representation: &'a str,
    pub(super) bandwidth: Option<u64>,
    pub(super) number: u64,
    pub(super) time: u64,
}

/// Fills in a template; what is wrong with it as half a sentence.
pub(super) fn fill(template: &str, values: &Values<'_>) -> Result<String, String> {
    let mut filled = String::with_capacity(template.len() + 16);
    let mut parts = template.split('$');
    filled.push_str(parts.next().unwrap_or_default());
    while let Some(identifier) = parts.next() {
        let Some(behind) = parts.next() else {
            return Err(format!("a single $ in the template {:?}", shown(template)));
        };
        filled.push_str(&value(identifier, values)?);
        filled.push_str(behind);
    }
    Ok(filled)
}

fn value(identifier: &str, values: &Values<'_>) -> Result<String, String> {
    let unknown = || format!("the identifier ${}$ is not known", shown(identifier));
    let (name, width) = match identifier.split_once('%') {
        None => (identifier, 1),
        Some((name, format)) => {
            let digits = format.strip_prefix('0').and_then(|format| format.strip_suffix('d')).ok_or_else(unknown)?;
            let width = if digits.is_empty() { Some(1) } else { digits.parse().ok() };
            (name, width.filter(|width| *width <= MAX_WIDTH).ok_or_else(unknown)?)
        }
    };
    let number = match name {
        "" if identifier.is_empty() => return Ok("$".to_owned()),
        "RepresentationID" if !identifier.contains('%') => return Ok(values.representation.to_owned()),
        "Number" => values.number,
        "Time" => values.time,
        "Bandwidth" => values.bandwidth.ok_or("$Bandwidth$ stands for nothing: the representation has none")?,
        _ => return Err(unknown()),
    };
    Ok(format!("{number:0width$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers() {
        let values = Values { representation: "v1", bandwidth: Some(5_000), number: 42, time: 18_000 };
        for (template, expected) in [
            ("a.m4s", Ok("a.m4s")),
            ("$RepresentationID$/$Number$.m4s", Ok("v1/42.m4s")),
            ("s-$Number%05d$-$Time$.m4s", Ok("s-00042-18000.m4s")),
            ("$Bandwidth%08d$", Ok("00005000")),
            ("$Number%0d$", Ok("42")),
            ("$$$Number$$$", Ok("$42$")),
            ("$Number", Err("a single $")),
            ("$SubNumber$", Err("$SubNumber$ is not known")),
            ("$Number%5d$", Err("not known")),
            ("$Number%0999d$", Err("not known")),
            ("$Number%05x$", Err("not known")),
            ("$RepresentationID%03d$", Err("not known")),
            ("$%05d$", Err("not known")),
        ] {
            match (fill(template, &values), expected) {
                (Ok(filled), Ok(expected)) => assert_eq!(filled, expected, "{template}"),
                (Err(words), Err(part)) => assert!(words.contains(part), "{template}: {words}"),
                (got, _) => panic!("{template}: {got:?}"),
            }
        }
        let nameless = Values { bandwidth: None, ..values };
        assert!(fill("$Bandwidth$", &nameless).is_err());
    }
}
