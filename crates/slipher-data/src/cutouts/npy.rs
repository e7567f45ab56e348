//! NumPy's .npy (format versions 1 to 3): `[y][x]`, `[band][y][x]`, `[y][x][band]`, or an object
//! axis before.

use super::{CutoutOptions, Row, named};
use crate::cutout::Cutout;

/// Most values of the smallest axis that is taken for bands.
const MOST_BANDS: usize = 6;

struct Array<'a> {
    kind: (char, usize, bool),
    shape: Vec<usize>,
    data: &'a [u8],
}

/// A field of the header's Python dictionary.
fn field<'a>(header: &'a str, key: &str) -> Option<&'a str> {
    let rest = &header[header.find(&format!("'{key}'"))? + key.len() + 2..];
    Some(rest[rest.find(':')? + 1..].trim_start())
}

fn parse(bytes: &[u8]) -> Result<Array<'_>, String> {
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
    let text: String = descr
        .trim_start_matches('\'')
        .chars()
        .take_while(|c| *c != '\'')
        .collect();
    let big = text.starts_with('>');
    let plain = text.trim_start_matches(['<', '>', '|', '=']);
    let (letter, size) = (
        plain.chars().next().unwrap_or(' '),
        plain
            .get(1..)
            .and_then(|s| s.parse::<usize>().ok())
            .unwrap_or(0),
    );
    if !matches!(
        (letter, size),
        ('f', 4 | 8) | ('i' | 'u', 1 | 2 | 4 | 8) | ('b', 1)
    ) {
        return Err(format!(
            "type '{text}': expected numbers; save with array.astype('float32')"
        ));
    }
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
        kind: (letter, size, big),
        shape,
        data,
    })
}

impl Array<'_> {
    fn values(&self, range: std::ops::Range<usize>) -> Vec<f32> {
        let (letter, size, big) = self.kind;
        let number = |raw: &[u8]| -> f32 {
            let mut b = [0u8; 8];
            raw.iter()
                .enumerate()
                .for_each(|(i, v)| b[if big { size - 1 - i } else { i }] = *v);
            let unsigned = u64::from_le_bytes(b);
            match (letter, size) {
                ('f', 4) => f32::from_bits(unsigned as u32),
                ('f', _) => f64::from_bits(unsigned) as f32,
                ('i', 1) => f32::from(unsigned as i8),
                ('i', 2) => f32::from(unsigned as i16),
                ('i', 4) => unsigned as i32 as f32,
                ('i', _) => unsigned as i64 as f32,
                _ => unsigned as f32,
            }
        };
        self.data[range.start * size..range.end * size]
            .chunks_exact(size)
            .map(number)
            .collect()
    }
}

pub(super) fn read(
    source: &str,
    bytes: &[u8],
    options: &CutoutOptions,
    each: &mut dyn FnMut(Row) -> bool,
) -> Result<bool, String> {
    let a = parse(bytes)?;
    let known = options.bands.len();
    let are_bands = |n: usize| {
        if known > 0 {
            n == known
        } else {
            n <= MOST_BANDS
        }
    };
    // (objects, bands, height, width, bands last)
    let (objects, bands, h, w, last) = match *a.shape.as_slice() {
        [h, w] => (1, 1, h, w, false),
        [b, h, w] if are_bands(b) => (1, b, h, w, false),
        [h, w, b] if are_bands(b) => (1, b, h, w, true),
        [n, h, w] => (n, 1, h, w, false),
        [n, b, h, w] if are_bands(b) => (n, b, h, w, false),
        [n, h, w, b] if are_bands(b) => (n, b, h, w, true),
        _ => {
            return Err(format!(
                "shape {:?}: expected [y, x], [band, y, x], [object, y, x] or [object, band, y, x]; name the bands with --bands",
                a.shape
            ));
        }
    };
    let n = bands * h * w;
    let names = vec![""; bands];
    for i in 0..objects {
        let mut pixels = a.values(i * n..(i + 1) * n);
        if last {
            pixels = (0..n)
                .map(|k| pixels[k % (h * w) * bands + k / (h * w)])
                .collect();
        }
        let cutout = Cutout::new(&names, h, w, pixels).and_then(|c| {
            let mut c = named(c, source, i, options)?;
            if known == 0 && bands > 1 {
                c.notes.push(
                    "an array has no names of bands: taken in the order of the planes".into(),
                );
            }
            Ok(c)
        });
        if !each(Row {
            source: source.to_owned(),
            row: i,
            cutout,
        }) {
            return Ok(false);
        }
    }
    Ok(true)
}
