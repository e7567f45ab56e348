//! Header cards: keyword, value, CONTINUE, HIERARCH.

use std::collections::HashMap;
use std::sync::OnceLock;

/// Value of a card, as written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Without its quotes and the blanks after it.
    Text(String),
    /// Number, logical or anything else without quotes.
    Bare(String),
}

/// The cards of one header, in order.
#[derive(Clone, Debug, Default)]
pub struct Header {
    cards: Vec<(String, Value)>,
    /// Place of the first card of each keyword, of long headers.
    index: OnceLock<HashMap<String, usize>>,
}

impl Header {
    /// Parses up to the END card; returns the header and the bytes it takes, whole blocks.
    pub(crate) fn parse(bytes: &[u8]) -> Result<(Header, usize), String> {
        let mut header = Header::default();
        for (i, card) in bytes.chunks_exact(80).enumerate() {
            // Data behind a header whose END card is lost are no cards.
            let keyword = card[..8].iter().all(|b| (0x20..0x7f).contains(b));
            if i > 200_000 || !keyword && !card.iter().all(|b| *b == 0) {
                return Err(format!("the header has no END card before card {}", i + 1));
            }
            if card.starts_with(b"END") && card[3..].iter().all(|b| *b == b' ' || *b == 0) {
                return Ok((header, ((i + 1) * 80).next_multiple_of(super::BLOCK)));
            }
            header.push(card);
        }
        Err("the header has no END card".into())
    }

    fn push(&mut self, card: &[u8]) {
        let text: String = card.iter().map(|b| char::from(*b)).collect();
        if let Some(rest) = text.strip_prefix("CONTINUE") {
            if let (Some((_, Value::Text(last))), Some(Value::Text(more))) =
                (self.cards.last_mut(), value(rest.trim_start()))
            {
                if last.ends_with('&') {
                    last.pop();
                }
                last.push_str(&more);
            }
            return;
        }
        if let Some(rest) = text.strip_prefix("HIERARCH ") {
            if let Some((key, v)) = rest
                .split_once('=')
                .and_then(|(k, v)| Some((k, value(v.trim_start())?)))
            {
                self.cards.push((key.trim().to_owned(), v));
            }
            return;
        }
        let (Some(key), Some(rest)) = (text.get(..8), text.get(8..)) else {
            return;
        };
        if let Some(v) = rest.strip_prefix('=').and_then(|r| value(r.trim_start())) {
            self.cards.push((key.trim().to_owned(), v));
        }
    }

    /// All cards with a value, in order.
    pub fn cards(&self) -> &[(String, Value)] {
        &self.cards
    }

    fn get(&self, key: &str) -> Option<&Value> {
        if self.cards.len() < 300 {
            return self.cards.iter().find(|(k, _)| k == key).map(|(_, v)| v);
        }
        let index = self.index.get_or_init(|| {
            let all = self.cards.iter().enumerate().rev();
            all.map(|(i, (k, _))| (k.clone(), i)).collect()
        });
        index.get(key).map(|i| &self.cards[*i].1)
    }
    /// A value as text, quotes and trailing blanks removed.
    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key).map(|v| match v {
            Value::Text(t) => t.trim_end(),
            Value::Bare(t) => t.as_str(),
        })
    }
    /// A number, also if it was written as a string.
    pub fn float(&self, key: &str) -> Option<f64> {
        let t = self.str(key)?.trim();
        t.parse()
            .ok()
            .or_else(|| t.replace(['D', 'd'], "E").parse().ok())
    }
    /// The value of a keyword, if it is an integer.
    pub fn int(&self, key: &str) -> Option<i64> {
        let t = self.str(key)?.trim();
        t.parse().ok().or_else(|| {
            t.parse::<f64>()
                .ok()
                .filter(|x| x.fract() == 0.0 && x.abs() < 9e15)
                .map(|x| x as i64)
        })
    }
    /// A logical, also written as a string or number (`T`, `true`, `1`).
    pub fn bool(&self, key: &str) -> Option<bool> {
        match self.str(key)?.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "1" | "yes" => Some(true),
            "f" | "false" | "0" | "no" | "" | "null" => Some(false),
            _ => None,
        }
    }
}

fn value(rest: &str) -> Option<Value> {
    if let Some(quoted) = rest.strip_prefix('\'') {
        let mut out = String::new();
        let mut chars = quoted.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                if chars.peek() == Some(&'\'') {
                    chars.next();
                } else {
                    break;
                }
            }
            out.push(c);
        }
        return Some(Value::Text(out.trim_end().to_owned()));
    }
    let bare = rest.split('/').next().unwrap_or_default().trim();
    (!bare.is_empty()).then(|| Value::Bare(bare.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(cards: &[&str]) -> Header {
        let mut text: String = cards.iter().map(|c| format!("{c:<80}")).collect();
        text.push_str(&format!("{:<80}", "END"));
        Header::parse(text.as_bytes()).unwrap().0
    }

    #[test]
    fn cards_of_all_kinds() {
        let h = header(&[
            "A       = 'it''s  '           / quote",
            "B       =              1.5D3 / number",
            "LONG    = 'abc&'",
            "CONTINUE  'def'",
            "HIERARCH ESO DET NAME = 'x'",
            "V       =                    T",
            "S       = '1       '",
            "COMMENT = is not a value",
        ]);
        assert_eq!(h.str("A"), Some("it's"));
        assert_eq!(h.float("B"), Some(1500.0));
        assert_eq!(h.str("LONG"), Some("abcdef"));
        assert_eq!(h.str("ESO DET NAME"), Some("x"));
        assert_eq!(
            (h.bool("V"), h.int("S"), h.bool("NOPE")),
            (Some(true), Some(1), None)
        );
    }
}
