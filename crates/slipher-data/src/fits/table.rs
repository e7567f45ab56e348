//! Tables, cell by cell: binary ones, with variable-length arrays, and ASCII ones.

use std::borrow::Cow;

use super::{Hdu, Header, Kind};

/// Element type of a column (TFORM letter).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// `L`.
    Logical,
    /// `B`, bytes.
    U8,
    /// `I`.
    I16,
    /// `J`.
    I32,
    /// `K`.
    I64,
    /// `E`.
    F32,
    /// `D`.
    F64,
    /// `A`.
    Text,
    /// Complex numbers or bits: listed, not decoded.
    Other(char),
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// TTYPE.
    pub name: String,
    /// From TFORM.
    pub kind: ColumnType,
    /// Elements per cell (characters for text); the most of them if cells differ.
    pub repeat: usize,
    /// Cells differ in length: their elements lie in the heap.
    pub variable: bool,
    /// TUNIT; empty if there is none.
    pub unit: String,
    /// TUCDn and TUTYPn, joined by a blank.
    pub ucd: String,
    offset: usize,
    /// Descriptors of 64 bits.
    wide: bool,
    scale: f64,
    zero: f64,
    null: Option<i64>,
}

/// A table.
#[derive(Debug)]
pub struct Table<'a> {
    columns: Vec<Column>,
    rows: usize,
    stride: usize,
    /// Where the heap begins.
    heap: usize,
    data: Cow<'a, [u8]>,
}

impl Column {
    /// A cell holds more than one number.
    pub fn is_vector(&self) -> bool {
        self.variable || self.repeat > 1
    }

    /// Bytes of an element.
    fn size(&self) -> usize {
        match self.kind {
            ColumnType::Logical | ColumnType::U8 | ColumnType::Text => 1,
            ColumnType::I16 => 2,
            ColumnType::I32 | ColumnType::F32 => 4,
            _ => 8,
        }
    }

    /// Appends numbers that begin each of `cells`, scaled, TNULL as NaN; false if the column holds
    /// none.
    fn decode<'a>(&self, cells: impl Iterator<Item = &'a [u8]>, out: &mut Vec<f64>) -> bool {
        let int = |v: i64| {
            if Some(v) == self.null {
                f64::NAN
            } else {
                v as f64 * self.scale + self.zero
            }
        };
        let float = |v: f64| v * self.scale + self.zero;
        match self.kind {
            ColumnType::U8 => {
                out.extend(cells.filter_map(|b| b.first().map(|b| int(i64::from(*b)))))
            }
            ColumnType::Logical => {
                out.extend(cells.filter_map(|b| b.first().map(|b| f64::from(u8::from(*b == b'T')))))
            }
            ColumnType::I16 => out.extend(cells.filter_map(|b| {
                b.first_chunk()
                    .map(|b| int(i64::from(i16::from_be_bytes(*b))))
            })),
            ColumnType::I32 => out.extend(cells.filter_map(|b| {
                b.first_chunk()
                    .map(|b| int(i64::from(i32::from_be_bytes(*b))))
            })),
            ColumnType::I64 => out
                .extend(cells.filter_map(|b| b.first_chunk().map(|b| int(i64::from_be_bytes(*b))))),
            ColumnType::F32 => out.extend(cells.filter_map(|b| {
                b.first_chunk()
                    .map(|b| float(f64::from(f32::from_be_bytes(*b))))
            })),
            ColumnType::F64 => out.extend(
                cells.filter_map(|b| b.first_chunk().map(|b| float(f64::from_be_bytes(*b)))),
            ),
            ColumnType::Text | ColumnType::Other(_) => return false,
        }
        true
    }
}

impl<'a> Table<'a> {
    pub(super) fn new(hdu: &Hdu, data: &'a [u8]) -> Result<Self, String> {
        match hdu.kind {
            Kind::BinTable | Kind::Compressed => {}
            Kind::AsciiTable => return ascii(&hdu.header, data),
            Kind::Empty | Kind::Image => return Err("is no table, expected a binary table".into()),
            Kind::Other(what) => {
                return Err(format!("is {what}, which this reader does not decode"));
            }
        }
        let h = &hdu.header;
        let size = |key: &str| usize::try_from(h.int(key).unwrap_or(0)).unwrap_or(0);
        let (stride, rows) = (size("NAXIS1"), size("NAXIS2"));
        if stride == 0 && rows > 0 || stride.checked_mul(rows).is_none_or(|n| n > data.len()) {
            return Err(format!(
                "{rows} rows of {stride} bytes, but only {} bytes follow: is the download complete?",
                data.len()
            ));
        }
        let mut columns = Vec::new();
        let mut offset = 0usize;
        for i in 1..=size("TFIELDS").min(999) {
            if let Some((column, end)) = column(h, i, offset, stride)? {
                columns.push(column);
                offset = end;
            }
        }
        let heap = h.int("THEAP").and_then(|v| usize::try_from(v).ok());
        Ok(Table {
            columns,
            rows,
            stride,
            heap: heap
                .filter(|t| *t >= stride * rows)
                .unwrap_or(stride * rows),
            data: Cow::Borrowed(data),
        })
    }

    /// NAXIS2.
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// All columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }
    /// A column by name, case-insensitive.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns
            .iter()
            .find(|c| c.name.eq_ignore_ascii_case(name))
    }

    fn cell(&self, c: &Column, row: usize) -> Option<&[u8]> {
        if row >= self.rows {
            return None;
        }
        let start = row * self.stride + c.offset;
        if !c.variable {
            return self.data.get(start..start + c.repeat * c.size());
        }
        let number = |at: usize| {
            let raw = self.data.get(at..at + if c.wide { 8 } else { 4 })?;
            let v = raw.iter().fold(0u64, |v, b| v << 8 | u64::from(*b));
            usize::try_from(v).ok()
        };
        let (n, offset) = (number(start)?, number(start + if c.wide { 8 } else { 4 })?);
        let from = self.heap.checked_add(offset)?;
        self.data
            .get(from..from.checked_add(n.checked_mul(c.size())?)?)
    }

    /// The bytes of a cell, as they are.
    pub(super) fn bytes(&self, name: &str, row: usize) -> Option<&[u8]> {
        self.cell(self.column(name)?, row)
    }

    /// A numeric cell, scaled; TNULL becomes NaN. `None` if there is no such column or it is not
    /// numeric.
    pub fn f64(&self, name: &str, row: usize) -> Option<Vec<f64>> {
        let mut out = Vec::new();
        self.extend(name, row, &mut out).then_some(out)
    }

    fn extend(&self, name: &str, row: usize, out: &mut Vec<f64>) -> bool {
        let Some(c) = self.column(name) else {
            return false;
        };
        let Some(raw) = self.cell(c, row) else {
            return false;
        };
        match c.kind {
            ColumnType::U8 | ColumnType::Logical => c.decode(raw.chunks_exact(1), out),
            ColumnType::I16 => c.decode(raw.chunks_exact(2), out),
            ColumnType::I32 | ColumnType::F32 => c.decode(raw.chunks_exact(4), out),
            ColumnType::I64 | ColumnType::F64 => c.decode(raw.chunks_exact(8), out),
            ColumnType::Text | ColumnType::Other(_) => false,
        }
    }

    /// A scalar column over all rows; `None` if it is missing, not numeric, or holds vectors.
    pub fn whole(&self, name: &str) -> Option<Vec<f64>> {
        let c = self.column(name).filter(|c| !c.is_vector())?;
        let mut out = Vec::with_capacity(self.rows);
        let cells = self
            .data
            .chunks_exact(self.stride.max(1))
            .take(self.rows)
            .filter_map(|row| row.get(c.offset..));
        (c.decode(cells, &mut out) && out.len() == self.rows).then_some(out)
    }

    /// A scalar integer column over all rows, unscaled and without regard to TNULL; `None` if it is
    /// none.
    pub fn whole_bits(&self, name: &str) -> Option<Vec<i64>> {
        let c = self.column(name).filter(|c| !c.is_vector())?;
        let cells = self
            .data
            .chunks_exact(self.stride.max(1))
            .take(self.rows)
            .filter_map(|row| row.get(c.offset..));
        let out: Vec<i64> = match c.kind {
            ColumnType::U8 => cells
                .filter_map(|b| b.first().map(|b| i64::from(*b)))
                .collect(),
            ColumnType::I16 => cells
                .filter_map(|b| b.first_chunk().map(|b| i64::from(i16::from_be_bytes(*b))))
                .collect(),
            ColumnType::I32 => cells
                .filter_map(|b| b.first_chunk().map(|b| i64::from(i32::from_be_bytes(*b))))
                .collect(),
            ColumnType::I64 => cells
                .filter_map(|b| b.first_chunk().map(|b| i64::from_be_bytes(*b)))
                .collect(),
            _ => return None,
        };
        (out.len() == self.rows).then_some(out)
    }

    /// First element of a numeric cell.
    pub fn scalar(&self, name: &str, row: usize) -> Option<f64> {
        self.f64(name, row)?.first().copied()
    }

    /// An integer cell exactly (64-bit identifiers do not fit a float). Unsigned columns (TZERO
    /// 2⁶³) too.
    pub fn integer(&self, name: &str, row: usize) -> Option<i128> {
        let c = self.column(name)?;
        let raw = self.cell(c, row)?;
        if c.scale != 1.0 {
            return None;
        }
        let v = match c.kind {
            ColumnType::U8 => i128::from(*raw.first()?),
            ColumnType::I16 => i128::from(i16::from_be_bytes(raw.get(..2)?.try_into().ok()?)),
            ColumnType::I32 => i128::from(i32::from_be_bytes(raw.get(..4)?.try_into().ok()?)),
            ColumnType::I64 => i128::from(i64::from_be_bytes(raw.get(..8)?.try_into().ok()?)),
            _ => return None,
        };
        // A zero point beyond this is no shift of integers (and would overflow).
        let zero = Some(c.zero).filter(|z| z.abs() < 1e19 && z.fract() == 0.0)?;
        Some(v + zero as i128)
    }

    /// A text cell, trailing blanks and NULs removed.
    pub fn text(&self, name: &str, row: usize) -> Option<String> {
        let c = self.column(name)?;
        if c.kind != ColumnType::Text {
            return None;
        }
        let raw = self.cell(c, row)?;
        let end = raw.iter().position(|b| *b == 0).unwrap_or(raw.len());
        Some(String::from_utf8_lossy(&raw[..end]).trim().to_owned())
    }

    /// An identifier: text, or an integer in digits.
    pub fn identifier(&self, name: &str, row: usize) -> Option<String> {
        self.text(name, row)
            .or_else(|| self.integer(name, row).map(|v| v.to_string()))
    }
}

/// Column `i` of a binary table, which begins at `offset` of a row, and where it ends; none without
/// cells.
fn column(
    h: &Header,
    i: usize,
    offset: usize,
    stride: usize,
) -> Result<Option<(Column, usize)>, String> {
    let text = |key: &str| {
        h.str(&format!("{key}{i}"))
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let form = text("TFORM");
    let digits = form
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(form.len());
    let repeat: usize = if digits == 0 {
        1
    } else {
        form[..digits].parse().unwrap_or(0)
    };
    let mut letters = form[digits..].chars().map(|c| c.to_ascii_uppercase());
    let mut letter = letters.next().unwrap_or('?');
    // P or Q, and what the arrays hold.
    let descriptor = ['P', 'Q'].iter().position(|d| *d == letter);
    if descriptor.is_some() {
        letter = letters.next().unwrap_or('?');
    }
    let (kind, bytes) = match letter {
        'L' => (ColumnType::Logical, 1),
        'B' => (ColumnType::U8, 1),
        'I' => (ColumnType::I16, 2),
        'J' => (ColumnType::I32, 4),
        'K' => (ColumnType::I64, 8),
        'E' => (ColumnType::F32, 4),
        'D' => (ColumnType::F64, 8),
        'A' => (ColumnType::Text, 1),
        'C' => (ColumnType::Other(letter), 8),
        'M' => (ColumnType::Other(letter), 16),
        'X' => (ColumnType::Other('X'), 1),
        other => return Err(format!("TFORM{i} = '{form}': unknown type '{other}'")),
    };
    let width = match descriptor {
        Some(k) => repeat.min(1) * (8 << k),
        None if letter == 'X' => repeat.div_ceil(8),
        None => repeat.saturating_mul(bytes),
    };
    let end = offset
        .checked_add(width)
        .filter(|e| *e <= stride)
        .ok_or_else(|| {
            format!("columns are wider than NAXIS1 = {stride} bytes at TFORM{i} = '{form}'")
        })?;
    if repeat == 0 {
        return Ok(None);
    }
    let most = form.split(['(', ')']).nth(1).and_then(|n| n.parse().ok());
    let found = Column {
        name: text("TTYPE"),
        kind,
        repeat: match descriptor {
            Some(_) => most.unwrap_or(0),
            None => repeat,
        },
        variable: descriptor.is_some(),
        wide: descriptor == Some(1),
        unit: text("TUNIT"),
        ucd: format!("{} {}", text("TUCD"), text("TUTYP")),
        offset,
        scale: h.float(&format!("TSCAL{i}")).unwrap_or(1.0),
        zero: h.float(&format!("TZERO{i}")).unwrap_or(0.0),
        null: h.int(&format!("TNULL{i}")),
    };
    Ok(Some((found, end)))
}

/// An ASCII table (standard 4.0, section 7.2) as a binary one: numbers in double precision.
fn ascii<'a>(h: &Header, data: &[u8]) -> Result<Table<'a>, String> {
    let size = |key: String| usize::try_from(h.int(&key).unwrap_or(0)).unwrap_or(0);
    let (stride, rows) = (size("NAXIS1".into()), size("NAXIS2".into()));
    if stride == 0 && rows > 0 || stride.checked_mul(rows).is_none_or(|n| n > data.len()) {
        return Err(format!(
            "{rows} rows of {stride} characters, but only {} follow: is the download complete?",
            data.len()
        ));
    }
    let mut columns = Vec::new();
    let mut places = Vec::new();
    let mut offset = 0;
    for i in 1..=size("TFIELDS".into()).min(999) {
        let text = |key: &str| {
            h.str(&format!("{key}{i}"))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let form = text("TFORM").to_uppercase();
        let width: usize = form
            .get(1..)
            .and_then(|w| w.split('.').next()?.parse().ok())
            .ok_or(format!(
                "TFORM{i} = '{form}': expected Aw, Iw, Fw.d, Ew.d or Dw.d"
            ))?;
        let from = size(format!("TBCOL{i}")).max(1) - 1;
        if from.checked_add(width).is_none_or(|end| end > stride) {
            return Err(format!("column {i} ends behind NAXIS1 = {stride}"));
        }
        let is_text = form.starts_with('A');
        let repeat = if is_text { width } else { 1 };
        columns.push(Column {
            name: text("TTYPE"),
            kind: if is_text {
                ColumnType::Text
            } else {
                ColumnType::F64
            },
            repeat,
            variable: false,
            unit: text("TUNIT"),
            ucd: format!("{} {}", text("TUCD"), text("TUTYP")),
            offset,
            wide: false,
            scale: h.float(&format!("TSCAL{i}")).unwrap_or(1.0),
            zero: h.float(&format!("TZERO{i}")).unwrap_or(0.0),
            null: None,
        });
        places.push((from, width, text("TNULL")));
        offset += if is_text { width } else { 8 };
    }
    let mut out = Vec::with_capacity(offset * rows);
    for row in data.chunks_exact(stride.max(1)).take(rows) {
        for (c, (from, width, null)) in columns.iter().zip(&places) {
            let raw = &row[*from..from + width];
            if c.kind == ColumnType::Text {
                out.extend_from_slice(raw);
                continue;
            }
            let word = String::from_utf8_lossy(raw).trim().to_owned();
            let number = if word.is_empty() || word == *null {
                f64::NAN
            } else {
                crate::formats::fortran(&word).unwrap_or(f64::NAN)
            };
            out.extend(number.to_be_bytes());
        }
    }
    Ok(Table {
        columns,
        rows,
        stride: offset,
        heap: out.len(),
        data: Cow::Owned(out),
    })
}
