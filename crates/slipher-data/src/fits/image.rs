//! Images of any BITPIX, row by row, scaled.

use super::tiles::Unpacked;
use super::{Hdu, Kind};

/// An image: axes fastest first, as FITS writes them.
#[derive(Debug)]
pub struct Image<'a> {
    /// NAXIS1, NAXIS2, …
    pub axes: Vec<usize>,
    bitpix: i64,
    scale: f64,
    zero: f64,
    blank: Option<i64>,
    data: &'a [u8],
}

impl<'a> Image<'a> {
    /// An image that was compressed in tiles.
    pub(super) fn unpacked(hdu: &Hdu, from: &'a Unpacked) -> Self {
        let h = &hdu.header;
        Image {
            axes: from.axes.clone(),
            bitpix: from.bitpix,
            scale: h.float("BSCALE").unwrap_or(1.0),
            zero: h.float("BZERO").unwrap_or(0.0),
            blank: h.int("BLANK").or_else(|| h.int("ZBLANK")),
            data: &from.data,
        }
    }

    /// A run of pixels of a larger image of this header.
    pub(crate) fn run(h: &super::Header, data: &'a [u8]) -> Self {
        let bitpix = h.int("BITPIX").unwrap_or(8);
        Image {
            axes: vec![data.len() / (bitpix.unsigned_abs() as usize / 8).max(1)],
            bitpix,
            scale: h.float("BSCALE").unwrap_or(1.0),
            zero: h.float("BZERO").unwrap_or(0.0),
            blank: h.int("BLANK"),
            data,
        }
    }

    pub(super) fn new(hdu: &Hdu, data: &'a [u8]) -> Result<Self, String> {
        match hdu.kind {
            Kind::Image => {}
            Kind::Empty => return Err("has no data".into()),
            Kind::BinTable | Kind::AsciiTable | Kind::Compressed => {
                return Err("is a table, expected an image".into());
            }
            Kind::Other(what) => {
                return Err(format!(
                    "is {what}, which this reader does not decode; unpack it first"
                ));
            }
        }
        if hdu.truncated {
            return Err("data end early: is the download complete?".into());
        }
        let h = &hdu.header;
        let bitpix = h.int("BITPIX").unwrap_or(0);
        if ![8, 16, 32, 64, -32, -64].contains(&bitpix) {
            return Err(format!(
                "BITPIX = {bitpix}, expected 8, 16, 32, 64, -32 or -64"
            ));
        }
        let naxis = h.int("NAXIS").unwrap_or(0);
        if !(1..=999).contains(&naxis) {
            return Err(format!("NAXIS = {naxis}, expected 1 to 999"));
        }
        let axes: Vec<usize> = (1..=naxis)
            .map(|i| usize::try_from(h.int(&format!("NAXIS{i}")).unwrap_or(0)).unwrap_or(0))
            .collect();
        let bytes = axes
            .iter()
            .try_fold(bitpix.unsigned_abs() as usize / 8, |p, n| p.checked_mul(*n));
        if bytes.is_none_or(|b| b == 0 || b > data.len()) {
            return Err(format!(
                "axes {axes:?} do not fit the {} bytes of data",
                data.len()
            ));
        }
        Ok(Image {
            axes,
            bitpix,
            scale: h.float("BSCALE").unwrap_or(1.0),
            zero: h.float("BZERO").unwrap_or(0.0),
            blank: h.int("BLANK"),
            data,
        })
    }

    /// Pixels of a row.
    pub fn width(&self) -> usize {
        self.axes.first().copied().unwrap_or(0)
    }
    /// Number of rows: the product of all other axes.
    pub fn rows(&self) -> usize {
        self.axes.iter().skip(1).product()
    }

    /// One row, physical values; BLANK becomes NaN. Empty if there is no such row.
    pub fn row(&self, row: usize) -> Vec<f64> {
        let size = self.bitpix.unsigned_abs() as usize / 8;
        let n = self.width();
        let range = row
            .checked_mul(n)
            .and_then(|r| r.checked_mul(size))
            .map(|a| a..a.saturating_add(n * size));
        let Some(raw) = range.and_then(|r| self.data.get(r)) else {
            return vec![];
        };
        let int = |v: i64| {
            if Some(v) == self.blank {
                f64::NAN
            } else {
                v as f64 * self.scale + self.zero
            }
        };
        let float = |v: f64| v * self.scale + self.zero;
        match self.bitpix {
            8 => raw.iter().map(|b| int(i64::from(*b))).collect(),
            16 => raw
                .chunks_exact(2)
                .map(|b| int(i64::from(i16::from_be_bytes([b[0], b[1]]))))
                .collect(),
            32 => raw
                .chunks_exact(4)
                .map(|b| int(i64::from(i32::from_be_bytes([b[0], b[1], b[2], b[3]]))))
                .collect(),
            64 => raw
                .chunks_exact(8)
                .map(|b| int(i64::from_be_bytes(b.try_into().unwrap_or_default())))
                .collect(),
            -32 => raw
                .chunks_exact(4)
                .map(|b| float(f64::from(f32::from_be_bytes([b[0], b[1], b[2], b[3]]))))
                .collect(),
            _ => raw
                .chunks_exact(8)
                .map(|b| float(f64::from_be_bytes(b.try_into().unwrap_or_default())))
                .collect(),
        }
    }
}
