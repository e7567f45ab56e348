//! NumPy's .npy (format versions 1 to 3): numbers, and records of numbers (structured arrays).

/// An array as it lies in the file.
pub(crate) struct Array<'a> {
    /// Of each record: name, type, values. A plain array has one, without a name.
    fields: Vec<(String, Type, usize)>,
    /// Bytes of a record.
    size: usize,
    /// As NumPy says it, the last axis the fastest.
    pub shape: Vec<usize>,
    data: &'a [u8],
}

/// A number: letter, bytes, big endian.
#[derive(Clone, Copy)]
struct Type {
    letter: char,
    size: usize,
    big: bool,
}

impl Type {
    fn parse(text: &str) -> Result<Type, String> {
        let plain = text.trim_start_matches(['<', '>', '|', '=']);
        let letter = plain.chars().next().unwrap_or(' ');
        let size = plain.get(1..).and_then(|s| s.parse().ok()).unwrap_or(0);
        let known = matches!(
            (letter, size),
            ('f', 4 | 8) | ('i' | 'u', 1 | 2 | 4 | 8) | ('b', 1)
        );
        if !known {
            return Err(format!(
                "type '{text}': expected numbers; save with array.astype('float32')"
            ));
        }
        let big = text.starts_with('>');
        Ok(Type { letter, size, big })
    }

    fn number(self, raw: &[u8]) -> f64 {
        let mut b = [0u8; 8];
        let place = |i: usize| if self.big { self.size - 1 - i } else { i };
        raw.iter().enumerate().for_each(|(i, v)| b[place(i)] = *v);
        let unsigned = u64::from_le_bytes(b);
        match (self.letter, self.size) {
            ('f', 4) => f64::from(f32::from_bits(unsigned as u32)),
            ('f', _) => f64::from_bits(unsigned),
            ('i', 1) => f64::from(unsigned as i8),
            ('i', 2) => f64::from(unsigned as i16),
            ('i', 4) => f64::from(unsigned as i32),
            ('i', _) => unsigned as i64 as f64,
            _ => unsigned as f64,
        }
    }
}

impl Array<'_> {
    /// Values of the first field, of some records.
    pub fn values(&self, range: std::ops::Range<usize>) -> Vec<f64> {
        self.fields
            .first()
            .map_or(vec![], |f| self.field(0, f, range))
    }

    /// Records.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Name, values in each record, and values of each field; a plain array has one without a name.
    pub fn columns(&self) -> Vec<(String, usize, Vec<f64>)> {
        let mut at = 0;
        let mut out = Vec::with_capacity(self.fields.len());
        for f in &self.fields {
            out.push((f.0.clone(), f.2, self.field(at, f, 0..self.len())));
            at += f.1.size * f.2;
        }
        out
    }

    fn field(
        &self,
        at: usize,
        (_, kind, many): &(String, Type, usize),
        range: std::ops::Range<usize>,
    ) -> Vec<f64> {
        self.data[range.start * self.size..range.end * self.size]
            .chunks_exact(self.size.max(1))
            .flat_map(|record| record[at..at + kind.size * many].chunks_exact(kind.size))
            .map(|raw| kind.number(raw))
            .collect()
    }
}

/// The first word in quotes.
fn quoted(text: &str) -> Option<&str> {
    text.split('\'').nth(1)
}

/// Fields of `[('wave', '<f8'), ('flux', '<f4', (100,))]`.
fn record(descr: &str) -> Result<Vec<(String, Type, usize)>, String> {
    let mut out = vec![];
    let mut rest = descr.trim_start_matches('[');
    while let Some(open) = rest.find('(') {
        if rest.find(']').is_some_and(|end| end < open) {
            break;
        }
        let inside = &rest[open + 1..];
        let mut words = inside.splitn(5, '\'');
        let (name, kind) = (words.nth(1), words.nth(1));
        let (Some(name), Some(kind), Some(after)) = (name, kind, words.next()) else {
            return Err("a structured type that is not understood".into());
        };
        // `)` ends the field; `, (100,))` is a shape before.
        let (mut many, mut after) = (1usize, after);
        if let Some(shape) = after.trim_start_matches([',', ' ']).strip_prefix('(') {
            let (axes, behind) = shape.split_once(')').ok_or("a shape without its end")?;
            for n in axes
                .split(',')
                .filter_map(|n| n.trim().parse::<usize>().ok())
            {
                many = many.checked_mul(n).ok_or("the shape is too large")?;
            }
            after = behind;
        }
        out.push((name.to_owned(), Type::parse(kind)?, many));
        rest = after.strip_prefix(')').unwrap_or(after);
    }
    Ok(out)
}

/// A field of the header's Python dictionary.
fn field<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let rest = &header[header.find(&format!("'{key}'"))? + key.len() + 2..];
    Some(rest[rest.find(':')? + 1..].trim_start())
}

/// An array in memory, its header checked against the bytes that follow.
///
/// # Errors
/// What is wrong with the header, or missing behind it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Array<'_>, String> {
    let short = || "the header is cut off".to_owned();
    let major = *bytes.get(6).ok_or_else(short)?;
    let (at, len): (usize, usize) = if major == 1 {
        (
            10,
            u16::from_le_bytes(
                bytes
                    .get(8..10)
                    .ok_or_else(short)?
                    .try_into()
                    .unwrap_or_default(),
            ) as usize,
        )
    } else {
        (
            12,
            u32::from_le_bytes(
                bytes
                    .get(8..12)
                    .ok_or_else(short)?
                    .try_into()
                    .unwrap_or_default(),
            ) as usize,
        )
    };
    let end = at.checked_add(len).ok_or_else(short)?;
    let header = std::str::from_utf8(bytes.get(at..end).ok_or_else(short)?)
        .map_err(|_| "the header is not text".to_owned())?;
    let descr = field(header, "descr").ok_or("the header has no 'descr'")?;
    let fields = if descr.starts_with('[') {
        record(descr)?
    } else {
        let text = quoted(descr).ok_or("the header has no type")?;
        vec![(String::new(), Type::parse(text)?, 1)]
    };
    let size: usize = fields.iter().map(|f| f.1.size * f.2).sum();
    if field(header, "fortran_order").is_some_and(|v| v.starts_with("True")) {
        return Err("order 'F': save with numpy.ascontiguousarray(array)".into());
    }
    let list = field(header, "shape").ok_or("the header has no 'shape'")?;
    let inside = list.trim_start_matches('(').split(')').next().unwrap_or("");
    let shape: Vec<usize> = inside
        .split(',')
        .filter_map(|s| s.trim().parse().ok())
        .collect();
    if shape.contains(&0) {
        return Err(format!("shape {shape:?} holds no values"));
    }
    let count = shape
        .iter()
        .try_fold(size, |p, n| p.checked_mul(*n))
        .ok_or("the shape is too large")?;
    let data = bytes
        .get(end..)
        .and_then(|d| d.get(..count))
        .ok_or_else(|| {
            format!("shape {shape:?} needs {count} bytes, fewer follow: is the file complete?")
        })?;
    Ok(Array {
        fields,
        size,
        shape,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_fields() {
        let header = "{'descr': [('wave', '<f8'), ('flux', '>f4', (2,)), ('n', '|u1')], 'fortran_order': False, 'shape': (2,), }";
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        for (wave, flux, n) in [(4000.0f64, [1.0f32, 2.0], 3u8), (5000.0, [4.0, 5.0], 6)] {
            bytes.extend(wave.to_le_bytes());
            flux.iter().for_each(|f| bytes.extend(f.to_be_bytes()));
            bytes.push(n);
        }
        let all = parse(&bytes).unwrap().columns();
        assert_eq!(all[0], ("wave".into(), 1, vec![4000.0, 5000.0]));
        assert_eq!(all[1], ("flux".into(), 2, vec![1.0, 2.0, 4.0, 5.0]));
        assert_eq!(all[2], ("n".into(), 1, vec![3.0, 6.0]));
        assert!(parse(&bytes[..bytes.len() - 1]).is_err());
    }
}
