//! AMF0 values, read and written.
//!
//! Never follows references and never reads AMF3: no server of live media sends either to a player that asks for AMF0.

use bytes::{BufMut, BytesMut};

/// Deepest nesting read.
pub const MAX_DEPTH: usize = 16;
/// Most values read from one message, nested ones included; metadata has a few dozen.
pub const MAX_VALUES: usize = 4096;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A number.
    Number(f64),
    /// Yes or no.
    Bool(bool),
    /// Text; bytes that are no UTF-8 became replacement characters.
    Text(String),
    /// An object, a typed object or an ECMA array: names with values in the order of the message.
    Object(Vec<(String, Value)>),
    /// A list.
    List(Vec<Value>),
    /// A point in time, in milliseconds since 1970.
    Date(f64),
    /// Nothing, undefined or unsupported.
    Null,
}

/// Bytes that are no AMF0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed AMF0 at octet {offset}: {what}")]
pub struct AmfError {
    /// What is wrong.
    pub what: &'static str,
    /// Octet of the message.
    pub offset: usize,
}

mod marker {
    pub(super) const NUMBER: u8 = 0;
    pub(super) const BOOL: u8 = 1;
    pub(super) const TEXT: u8 = 2;
    pub(super) const OBJECT: u8 = 3;
    pub(super) const NULL: u8 = 5;
    pub(super) const UNDEFINED: u8 = 6;
    pub(super) const ECMA_ARRAY: u8 = 8;
    pub(super) const OBJECT_END: u8 = 9;
    pub(super) const LIST: u8 = 10;
    pub(super) const DATE: u8 = 11;
    pub(super) const LONG_TEXT: u8 = 12;
    pub(super) const UNSUPPORTED: u8 = 13;
    pub(super) const XML: u8 = 15;
    pub(super) const TYPED_OBJECT: u8 = 16;
}

impl Value {
    /// The value of a name in an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(pairs) => pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The number of a number, or of a text that holds one; never infinite.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.trim().parse().ok(),
            _ => None,
        }
        .filter(|number: &f64| number.is_finite())
    }

    fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Number(number) => {
                out.put_u8(marker::NUMBER);
                out.put_f64(*number);
            }
            Self::Bool(flag) => out.put_slice(&[marker::BOOL, u8::from(*flag)]),
            Self::Text(text) => match u16::try_from(text.len()) {
                Ok(length) => {
                    out.put_u8(marker::TEXT);
                    out.put_u16(length);
                    out.put_slice(text.as_bytes());
                }
                Err(_) => {
                    out.put_u8(marker::LONG_TEXT);
                    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
                    out.put_slice(text.as_bytes());
                }
            },
            Self::Object(pairs) => {
                out.put_u8(marker::OBJECT);
                for (name, value) in pairs {
                    let name = &name.as_bytes()[..name.floor_char_boundary(usize::from(u16::MAX))];
                    out.put_u16(u16::try_from(name.len()).unwrap_or(u16::MAX));
                    out.put_slice(name);
                    value.encode(out);
                }
                out.put_slice(&[0, 0, marker::OBJECT_END]);
            }
            Self::List(items) => {
                out.put_u8(marker::LIST);
                out.put_u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
                items.iter().for_each(|item| item.encode(out));
            }
            Self::Date(ms) => {
                out.put_u8(marker::DATE);
                out.put_f64(*ms);
                out.put_i16(0);
            }
            Self::Null => out.put_u8(marker::NULL),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Writes values one behind the other, as messages hold them.
pub fn encode_values(values: &[Value], out: &mut BytesMut) {
    values.iter().for_each(|value| value.encode(out));
}

/// Reads all values of a message.
///
/// # Errors
/// When a value is cut short, of an unknown type, nested too deep, or one too many.
pub fn parse_values(bytes: &[u8]) -> Result<Vec<Value>, AmfError> {
    let mut reader = Reader { bytes, at: 0, values: 0 };
    let mut values = Vec::new();
    while reader.at < bytes.len() {
        values.push(reader.value(0)?);
    }
    Ok(values)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    values: usize,
}

impl Reader<'_> {
    fn error<T>(&self, what: &'static str) -> Result<T, AmfError> {
        Err(AmfError { what, offset: self.at })
    }

    fn take(&mut self, count: usize) -> Result<&[u8], AmfError> {
        let Some(taken) = self.at.checked_add(count).and_then(|end| self.bytes.get(self.at..end)) else {
            return self.error("cut short");
        };
        self.at += count;
        Ok(taken)
    }

    fn octets<const N: usize>(&mut self) -> Result<[u8; N], AmfError> {
        let mut octets = [0; N];
        octets.copy_from_slice(self.take(N)?);
        Ok(octets)
    }

    fn text(&mut self) -> Result<String, AmfError> {
        let length = u16::from_be_bytes(self.octets()?);
        Ok(String::from_utf8_lossy(self.take(length.into())?).into_owned())
    }

    fn long_text(&mut self) -> Result<String, AmfError> {
        let length = u32::from_be_bytes(self.octets()?);
        Ok(String::from_utf8_lossy(self.take(length as usize)?).into_owned())
    }

    fn value(&mut self, depth: usize) -> Result<Value, AmfError> {
        if depth >= MAX_DEPTH {
            return self.error("nested too deep");
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return self.error("too many values");
        }
        let [kind] = self.octets()?;
        Ok(match kind {
            marker::NUMBER => Value::Number(f64::from_be_bytes(self.octets()?)),
            marker::BOOL => Value::Bool(self.octets::<1>()? != [0]),
            marker::TEXT => Value::Text(self.text()?),
            marker::LONG_TEXT | marker::XML => Value::Text(self.long_text()?),
            marker::OBJECT => Value::Object(self.pairs(depth)?),
            marker::TYPED_OBJECT => {
                self.text()?;
                Value::Object(self.pairs(depth)?)
            }
            marker::ECMA_ARRAY => {
                // The count is advice: the end mark decides.
                self.octets::<4>()?;
                Value::Object(self.pairs(depth)?)
            }
            marker::LIST => {
                let count = u32::from_be_bytes(self.octets()?);
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(self.value(depth + 1)?);
                }
                Value::List(items)
            }
            marker::DATE => {
                let ms = f64::from_be_bytes(self.octets()?);
                self.octets::<2>()?;
                Value::Date(ms)
            }
            marker::NULL | marker::UNDEFINED | marker::UNSUPPORTED => Value::Null,
            _ => return self.error("unknown type of value"),
        })
    }

    fn pairs(&mut self, depth: usize) -> Result<Vec<(String, Value)>, AmfError> {
        let mut pairs = Vec::new();
        loop {
            // Some encoders leave the end mark of the last object out.
            if self.at == self.bytes.len() {
                return Ok(pairs);
            }
            let name = self.text()?;
            if name.is_empty() && self.bytes.get(self.at) == Some(&marker::OBJECT_END) {
                self.at += 1;
                return Ok(pairs);
            }
            pairs.push((name, self.value(depth + 1)?));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> Result<Vec<Value>, &'static str> {
        parse_values(bytes).map_err(|e| e.what)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let values = [
            Value::from("connect"),
            Value::Number(1.5),
            Value::Bool(true),
            Value::Null,
            Value::Date(12.0),
            Value::Object(vec![("a".to_owned(), Value::List(vec![Value::from("x"), Value::Null]))]),
            Value::Text("long".repeat(20_000)),
        ];
        let mut out = BytesMut::new();
        encode_values(&values, &mut out);
        assert_eq!(parse(&out), Ok(values.to_vec()));
    }

    #[test]
    fn arrays_typed_objects_and_missing_ends() {
        let one = Value::Object(vec![("a".to_owned(), Value::Bool(true))]);
        assert_eq!(parse(b"\x08\0\0\0\x09\0\x01a\x01\x01\0\0\x09"), Ok(vec![one.clone()]));
        assert_eq!(parse(b"\x10\0\x01T\0\x01a\x01\x01\0\0\x09\x05"), Ok(vec![one.clone(), Value::Null]));
        assert_eq!(parse(b"\x03\0\x01a\x01\x01"), Ok(vec![one]));
    }

    #[test]
    fn limits_and_damage() {
        assert_eq!(parse(b"\0\0\0"), Err("cut short"));
        assert_eq!(parse(b"\x02\xff\xffab"), Err("cut short"));
        assert_eq!(parse(b"\x11\x0a"), Err("unknown type of value"));
        assert_eq!(parse(b"\x0a\xff\xff\xff\xff\x05"), Err("cut short"));
        let nested = |depth: usize| b"\x0a\0\0\0\x01".repeat(depth).into_iter().chain([5]).collect::<Vec<u8>>();
        assert!(parse(&nested(MAX_DEPTH - 1)).is_ok());
        assert_eq!(parse(&nested(MAX_DEPTH)), Err("nested too deep"));
        assert!(parse(&[5; MAX_VALUES]).is_ok());
        assert_eq!(parse(&[5; MAX_VALUES + 1]), Err("too many values"));
    }

    #[test]
    fn numbers_in_texts_are_numbers() {
        assert_eq!(Value::from(" 25 ").as_number(), Some(25.0));
        assert_eq!(Value::from("fast").as_number(), None);
        assert_eq!(Value::Number(f64::NAN).as_number(), None);
    }
}
