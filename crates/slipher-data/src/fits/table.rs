//! Binary tables, cell by cell.

use super::{Hdu, Kind};

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
    /// Complex, bits or a variable-length array: listed, not decoded.
    Other(char),
}

/// One column.
#[derive(Clone, Debug)]
pub struct Column {
    /// TTYPE.
    pub name: String,
    /// From TFORM.
    pub kind: ColumnType,
    /// Elements per cell (characters for text).
    pub repeat: usize,
    /// TUNIT; empty if there is none.
    pub unit: String,
    /// TUCDn and TUTYPn, joined by a blank.
    pub ucd: String,
    offset: usize,
    scale: f64,
    zero: f64,
    null: Option<i64>,
}

/// A binary table.
#[derive(Debug)]
pub struct Table<'a> {
    columns: Vec<Column>,
    rows: usize,
    stride: usize,
    data: &'a [u8],
}

impl Column {
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
            Kind::BinTable => {}
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
            let form = h
                .str(&format!("TFORM{i}"))
                .unwrap_or_default()
                .trim()
                .to_owned();
            let digits = form
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(form.len());
            let repeat: usize = if digits == 0 {
                1
            } else {
                form[..digits].parse().unwrap_or(0)
            };
            let letter = form[digits..].chars().next().unwrap_or('?');
            let (kind, bytes) = match letter {
                'L' => (ColumnType::Logical, 1),
                'B' => (ColumnType::U8, 1),
                'I' => (ColumnType::I16, 2),
                'J' => (ColumnType::I32, 4),
                'K' => (ColumnType::I64, 8),
                'E' => (ColumnType::F32, 4),
                'D' => (ColumnType::F64, 8),
                'A' => (ColumnType::Text, 1),
                'C' | 'P' => (ColumnType::Other(letter), 8),
                'M' | 'Q' => (ColumnType::Other(letter), 16),
                'X' => (ColumnType::Other('X'), 1),
                other => return Err(format!("TFORM{i} = '{form}': unknown type '{other}'")),
            };
            let width = if letter == 'X' {
                repeat.div_ceil(8)
            } else {
                repeat.saturating_mul(bytes)
            };
            let end = offset
                .checked_add(width)
                .filter(|e| *e <= stride)
                .ok_or_else(|| {
                    format!("columns are wider than NAXIS1 = {stride} bytes at TFORM{i} = '{form}'")
                })?;
            if repeat == 0 {
                continue; // a column without cells
            }
            let text = |key: String| h.str(&key).unwrap_or_default().trim().to_owned();
            columns.push(Column {
                name: text(format!("TTYPE{i}")),
                kind,
                repeat,
                unit: text(format!("TUNIT{i}")),
                ucd: format!("{} {}", text(format!("TUCD{i}")), text(format!("TUTYP{i}"))),
                offset,
                scale: h.float(&format!("TSCAL{i}")).unwrap_or(1.0),
                zero: h.float(&format!("TZERO{i}")).unwrap_or(0.0),
                null: h.int(&format!("TNULL{i}")),
            });
            offset = end;
        }
        Ok(Table {
            columns,
            rows,
            stride,
            data,
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

    fn cell(&self, c: &Column, row: usize) -> Option<&'a [u8]> {
        if row >= self.rows {
            return None;
        }
        let start = row * self.stride + c.offset;
        let bytes = match c.kind {
            ColumnType::Logical | ColumnType::U8 | ColumnType::Text => 1,
            ColumnType::I16 => 2,
            ColumnType::I32 | ColumnType::F32 => 4,
            _ => 8,
        };
        self.data.get(start..start + c.repeat * bytes)
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
        let c = self.column(name).filter(|c| c.repeat == 1)?;
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
        let c = self.column(name).filter(|c| c.repeat == 1)?;
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
        Some(v + c.zero as i128)
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
