//! Tile-compressed images (FITS standard 4.0, section 10): GZIP_1, GZIP_2, RICE_1, PLIO_1,
//! HCOMPRESS_1, NOCOMPRESS, integers and quantised floats, with and without dithering.

use std::io::Read;

use super::{Header, Table, hcompress};
use crate::budget;

/// An image unpacked: axes, and big-endian values of its BITPIX.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub axes: Vec<usize>,
    pub bitpix: i64,
    pub data: Vec<u8>,
}

struct Geometry {
    axes: Vec<usize>,
    tile: Vec<usize>,
    bitpix: i64,
}

impl Geometry {
    fn of(h: &Header) -> Result<Self, String> {
        let size = |key: String| h.int(&key).and_then(|v| usize::try_from(v).ok());
        let naxis = size("ZNAXIS".into()).filter(|n| (1..=8).contains(n));
        let naxis = naxis.ok_or("ZNAXIS is missing or not 1 to 8")?;
        let axes: Vec<usize> = (1..=naxis)
            .map(|i| size(format!("ZNAXIS{i}")).ok_or(format!("ZNAXIS{i} is missing")))
            .collect::<Result<_, _>>()?;
        let tile: Vec<usize> = (1..=naxis)
            .map(|i| {
                let row = if i == 1 { axes[0] } else { 1 };
                size(format!("ZTILE{i}")).unwrap_or(row).max(1)
            })
            .collect();
        let all = axes.iter().try_fold(1usize, |p, n| p.checked_mul(*n));
        let values = all
            .filter(|n| *n > 0)
            .ok_or(format!("axes {axes:?}: no image"))?;
        budget::check(
            8 * values as u64,
            budget::limit(),
            &format!("axes {axes:?}"),
        )?;
        let bitpix = h.int("ZBITPIX").unwrap_or(0);
        if ![8, 16, 32, 64, -32, -64].contains(&bitpix) {
            return Err(format!(
                "ZBITPIX = {bitpix}, expected 8, 16, 32, 64, -32 or -64"
            ));
        }
        Ok(Geometry { axes, tile, bitpix })
    }

    /// First index and length along each axis of tile `t`.
    fn place(&self, t: usize) -> Vec<(usize, usize)> {
        let mut rest = t;
        self.axes
            .iter()
            .zip(&self.tile)
            .map(|(n, size)| {
                let count = n.div_ceil(*size);
                let first = rest % count * size;
                rest /= count;
                (first, (*size).min(n - first))
            })
            .collect()
    }

    fn tiles(&self) -> usize {
        self.axes
            .iter()
            .zip(&self.tile)
            .map(|(n, t)| n.div_ceil(*t))
            .product()
    }
}

/// Unpacks the image that a table holds.
pub(super) fn unpack(h: &Header, table: &Table) -> Result<Unpacked, String> {
    let g = Geometry::of(h)?;
    if g.tiles() > table.rows() {
        return Err(format!("{} tiles in {} rows", g.tiles(), table.rows()));
    }
    let method = h.str("ZCMPTYPE").unwrap_or_default().trim().to_uppercase();
    let method = Method::parse(&method, h)?;
    let wide = g.bitpix.unsigned_abs() as usize / 8;
    let mut data = vec![0u8; g.axes.iter().product::<usize>() * wide];
    let dither = Dither::of(h);
    for t in 0..g.tiles() {
        let place = g.place(t);
        let n = place.iter().map(|p| p.1).product();
        let values = tile(h, table, &method, &g, t, n, &dither)
            .map_err(|why| format!("tile {}: {why}", t + 1))?;
        scatter(&g, &place, wide, &values, &mut data);
    }
    Ok(Unpacked {
        axes: g.axes,
        bitpix: g.bitpix,
        data,
    })
}

/// Copies a tile to its place, row by row.
fn scatter(g: &Geometry, place: &[(usize, usize)], wide: usize, values: &[u8], to: &mut [u8]) {
    let width = place[0].1 * wide;
    for (r, row) in values.chunks_exact(width).enumerate() {
        let (mut rest, mut at, mut stride) = (r, place[0].0, g.axes[0]);
        for ((first, len), n) in place.iter().zip(&g.axes).skip(1) {
            at += (first + rest % len) * stride;
            rest /= len;
            stride *= n;
        }
        to[at * wide..][..width].copy_from_slice(row);
    }
}

enum Method {
    Gzip { shuffled: bool },
    Rice { block: usize, bytes: usize },
    Plio,
    Hcompress,
    Plain,
}

impl Method {
    fn parse(name: &str, h: &Header) -> Result<Self, String> {
        let parameter = |key: &str| {
            (1..=20).find_map(|i| {
                let name = h.str(&format!("ZNAME{i}"))?;
                (name.trim() == key).then(|| h.int(&format!("ZVAL{i}")))?
            })
        };
        Ok(match name {
            "GZIP_1" => Method::Gzip { shuffled: false },
            "GZIP_2" => Method::Gzip { shuffled: true },
            "RICE_1" | "RICE_ONE" => {
                let block = parameter("BLOCKSIZE").unwrap_or(32);
                let bytes = parameter("BYTEPIX").unwrap_or(4);
                if !(1..=4096).contains(&block) || ![1, 2, 4].contains(&bytes) {
                    return Err(format!("RICE_1 of BLOCKSIZE {block}, BYTEPIX {bytes}"));
                }
                Method::Rice {
                    block: block as usize,
                    bytes: bytes as usize,
                }
            }
            "PLIO_1" => Method::Plio,
            "HCOMPRESS_1" => {
                if parameter("SMOOTH").is_some_and(|s| s != 0) {
                    return Err(
                        "compressed by HCOMPRESS_1 with SMOOTH, which is not read; run 'funpack' first"
                            .into(),
                    );
                }
                Method::Hcompress
            }
            "NOCOMPRESS" => Method::Plain,
            other => {
                return Err(format!(
                    "compressed by {other}: expected GZIP_1, GZIP_2, RICE_1, PLIO_1 or HCOMPRESS_1; run 'funpack' first"
                ));
            }
        })
    }
}

/// The `n` values of a tile, big-endian in the image's BITPIX.
fn tile(
    h: &Header,
    table: &Table,
    method: &Method,
    g: &Geometry,
    t: usize,
    n: usize,
    dither: &Dither,
) -> Result<Vec<u8>, String> {
    let wide = g.bitpix.unsigned_abs() as usize / 8;
    let packed = table.bytes("COMPRESSED_DATA", t).unwrap_or_default();
    if packed.is_empty() {
        // What did not compress well is stored otherwise.
        if let Some(z) = table
            .bytes("GZIP_COMPRESSED_DATA", t)
            .filter(|z| !z.is_empty())
        {
            return exactly(gunzip(z, n * 8)?, n * wide);
        }
        let plain = table.bytes("UNCOMPRESSED_DATA", t).unwrap_or_default();
        return exactly(plain.to_vec(), n * wide);
    }
    let column = |name: &str, key: &str| table.scalar(name, t).or_else(|| h.float(key));
    let scale = column("ZSCALE", "ZSCALE").filter(|_| g.bitpix < 0);
    let integers: Vec<i64> = match method {
        Method::Plain => return exactly(packed.to_vec(), n * wide),
        Method::Gzip { shuffled } => {
            let raw = gunzip(packed, n * 8)?;
            let bytes = raw.len() / n.max(1);
            if bytes * n != raw.len() || ![1, 2, 4, 8].contains(&bytes) {
                return Err(format!("{} bytes for {n} values", raw.len()));
            }
            let raw = if *shuffled {
                unshuffle(&raw, bytes)
            } else {
                raw
            };
            if g.bitpix < 0 && scale.is_none() {
                return exactly(raw, n * wide);
            }
            raw.chunks_exact(bytes)
                .map(|b| integer(b, g.bitpix == 8))
                .collect()
        }
        Method::Rice { block, bytes } => rice(packed, n, *block, *bytes)?
            .into_iter()
            .map(|v| match bytes {
                1 => i64::from(v as u8),
                2 => i64::from(v as i16),
                _ => i64::from(v as i32),
            })
            .collect(),
        Method::Plio => plio(packed, n)?,
        Method::Hcompress => hcompress::decode(packed, n)?,
    };
    if g.bitpix > 0 {
        let bytes = |v: &i64| v.to_be_bytes()[8 - wide..].to_vec();
        return Ok(integers.iter().flat_map(bytes).collect());
    }
    let scale = scale.ok_or("ZSCALE is missing")?;
    let zero = column("ZZERO", "ZZERO").unwrap_or(0.0);
    let blank = table
        .scalar("ZBLANK", t)
        .map(|v| v as i64)
        .or_else(|| h.int("ZBLANK"));
    let values = dither.floats(&integers, t, scale, zero, blank);
    Ok(if wide == 4 {
        values
            .iter()
            .flat_map(|v| (*v as f32).to_be_bytes())
            .collect()
    } else {
        values.iter().flat_map(|v| v.to_be_bytes()).collect()
    })
}

fn exactly(bytes: Vec<u8>, n: usize) -> Result<Vec<u8>, String> {
    if bytes.len() == n {
        Ok(bytes)
    } else {
        Err(format!("{} bytes, expected {n}", bytes.len()))
    }
}

fn gunzip(packed: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(packed)
        .take(most as u64 + 1)
        .read_to_end(&mut out)
        .map_err(|e| e.to_string())?;
    Ok(out)
}

/// First bytes of all values, then the second, …
fn unshuffle(raw: &[u8], bytes: usize) -> Vec<u8> {
    let n = raw.len() / bytes;
    (0..raw.len())
        .map(|i| raw[i % bytes * n + i / bytes])
        .collect()
}

/// A big-endian integer; one byte has no sign.
fn integer(b: &[u8], unsigned: bool) -> i64 {
    let sign = if !unsigned && b.len() > 1 && b[0] & 0x80 != 0 {
        -1i64
    } else {
        0
    };
    b.iter().fold(sign, |v, x| v << 8 | i64::from(*x))
}

/// Bits of a stream, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, n: usize) -> Result<u32, String> {
        let mut v = 0u32;
        for _ in 0..n {
            let byte = self.bytes.get(self.at / 8).ok_or("data end early")?;
            v = v << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(v)
    }
    /// Zeros before the next one, which is taken too.
    fn zeros(&mut self) -> Result<u32, String> {
        let mut n = 0;
        while self.take(1)? == 0 {
            n += 1;
        }
        Ok(n)
    }
}

/// Rice & Plaunt 1971 as in cfitsio: differences in blocks, each with a number of low bits.
fn rice(packed: &[u8], n: usize, block: usize, bytes: usize) -> Result<Vec<u32>, String> {
    let (selector, raw) = match bytes {
        1 => (3, 6),
        2 => (4, 14),
        _ => (5, 25),
    };
    let mut bits = Bits {
        bytes: packed,
        at: 0,
    };
    let mut last = bits.take(8 * bytes)?;
    let mut out = Vec::with_capacity(n);
    while out.len() < n {
        let low = bits.take(selector)?;
        for _ in 0..block.min(n - out.len()) {
            let difference = match low {
                0 => 0,
                k if k == raw + 1 => bits.take(8 * bytes)?,
                k => bits.zeros()?.wrapping_shl(k - 1) | bits.take(k as usize - 1)?,
            };
            // Signs lie in the lowest bit.
            let step = if difference & 1 == 1 {
                !(difference >> 1)
            } else {
                difference >> 1
            };
            last = last.wrapping_add(step);
            out.push(last);
        }
    }
    Ok(out)
}

/// IRAF's pixel lists: runs, and values that change by steps.
fn plio(packed: &[u8], n: usize) -> Result<Vec<i64>, String> {
    let words: Vec<i64> = packed
        .chunks_exact(2)
        .map(|b| i64::from(i16::from_be_bytes([b[0], b[1]])))
        .collect();
    let word = |i: usize| words.get(i).copied().ok_or("the list ends early");
    let (length, first) = if word(2)? > 0 {
        (word(2)?, 3)
    } else {
        ((word(4)? << 15) + word(3)?, word(1)?)
    };
    let (mut out, mut value) = (Vec::with_capacity(n), 1i64);
    let mut at = usize::try_from(first).map_err(|_| "a negative offset")?;
    let length = usize::try_from(length).map_err(|_| "a negative length")?;
    while at < length.min(words.len()) && out.len() < n {
        let (code, data) = (word(at)? >> 12 & 15, word(at)? & 4095);
        let left = n - out.len();
        let run = (data as usize).min(left);
        match code {
            0 => out.extend(std::iter::repeat_n(0, run)),
            1 => {
                at += 1;
                value = (word(at)? << 12) + data;
            }
            2 => value += data,
            3 => value -= data,
            4 => out.extend(std::iter::repeat_n(value, run)),
            5 => {
                out.extend(std::iter::repeat_n(0, run.saturating_sub(1)));
                out.push(value);
            }
            6 | 7 => {
                value += if code == 6 { data } else { -data };
                out.push(value);
            }
            _ => return Err(format!("code {code} in a pixel list")),
        }
        at += 1;
    }
    out.resize(n, 0);
    Ok(out)
}

/// Integers back to floats (section 10.2): the noise that was added before rounding is taken away.
struct Dither {
    method: u8,
    seed: i64,
    random: Vec<f64>,
}

const RANDOM: usize = 10_000;

impl Dither {
    fn of(h: &Header) -> Self {
        let method = match h.str("ZQUANTIZ").map(str::trim) {
            Some("SUBTRACTIVE_DITHER_1") => 1,
            Some("SUBTRACTIVE_DITHER_2") => 2,
            _ => 0,
        };
        // Park & Miller 1988, as the standard writes it out.
        let mut seed = 1.0f64;
        let random = if method == 0 {
            vec![]
        } else {
            (0..RANDOM)
                .map(|_| {
                    let t = 16_807.0 * seed;
                    seed = t - 2_147_483_647.0 * (t / 2_147_483_647.0).floor();
                    seed / 2_147_483_647.0
                })
                .collect()
        };
        Dither {
            method,
            seed: h.int("ZDITHER0").unwrap_or(1),
            random,
        }
    }

    fn floats(&self, q: &[i64], t: usize, scale: f64, zero: f64, blank: Option<i64>) -> Vec<f64> {
        let mut row = (t as i64 + self.seed - 1).rem_euclid(RANDOM as i64) as usize;
        let start = |row: usize| (f64::from(self.random[row] as f32) * 500.0) as usize;
        let mut at = if self.method > 0 { start(row) } else { 0 };
        q.iter()
            .map(|q| {
                let shift = if self.method > 0 {
                    let r = f64::from(self.random[at] as f32);
                    at += 1;
                    if at == RANDOM {
                        row = (row + 1) % RANDOM;
                        at = start(row);
                    }
                    0.5 - r
                } else {
                    0.0
                };
                match *q {
                    v if Some(v) == blank => f64::NAN,
                    -2_147_483_646 if self.method == 2 => 0.0,
                    v => (v as f64 + shift) * scale + zero,
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists of cfitsio for [0, 0, 3, 3, 3, 0, 5] and a long run.
    #[test]
    fn pixel_lists() {
        let pack = |w: &[i16]| w.iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>();
        // Header of 7 words: version, length of the header, 0 (long), length low, high, 0, 0.
        let list = pack(&[
            0, 7, -100, 13, 0, 0, 0, 2, 0x2002, 0x4003, 1, 0x2002, 0x4001,
        ]);
        assert_eq!(plio(&list, 7).unwrap(), [0, 0, 3, 3, 3, 0, 5]);
        assert!(plio(&list[..6], 7).is_err());
    }

    #[test]
    fn damage_is_said() {
        assert!(rice(&[0, 0, 0, 1, 0xff], 1000, 32, 4).is_err());
        assert!(gunzip(&[0x1f, 0x8b, 8, 0, 1], 100).is_err());
    }
}
