//! HCOMPRESS_1 (White 1992, "High-performance compression of astronomical images"; FITS standard
//! 4.0, section 10.4.4): bit planes of quadtrees of an integer H-transform.

/// First bytes of a compressed tile.
const MAGIC: [u8; 2] = [0xDD, 0x99];

/// Bits of the stream, most significant first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn bit(&mut self) -> Result<u32, String> {
        let byte = self.bytes.get(self.at / 8).ok_or("data end early")?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(u32::from(bit))
    }

    fn take(&mut self, n: usize) -> Result<u32, String> {
        (0..n).try_fold(0, |v, _| Ok(v << 1 | self.bit()?))
    }

    /// The four bits of a quadtree's node, in White's fixed Huffman code.
    fn node(&mut self) -> Result<u8, String> {
        let c = self.take(3)?;
        if c < 4 {
            return Ok(1 << c);
        }
        let c = c << 1 | self.bit()?;
        if let Some(v) = [3, 5, 10, 12, 15].get((c as usize).wrapping_sub(8)) {
            return Ok(*v);
        }
        let c = c << 1 | self.bit()?;
        if let Some(v) = [6, 7, 9, 11, 13].get((c as usize).wrapping_sub(26)) {
            return Ok(*v);
        }
        Ok(if self.bit()? == 0 { 0 } else { 14 })
    }
}

/// Values of a tile of `n`, the fastest axis last; `smooth` is refused.
///
/// # Errors
/// What is wrong with the stream.
pub(super) fn decode(packed: &[u8], n: usize) -> Result<Vec<i64>, String> {
    let word = |at: usize| -> Result<i64, String> {
        let b = packed.get(at..at + 4).ok_or("the tile ends early")?;
        Ok(i64::from(i32::from_be_bytes([b[0], b[1], b[2], b[3]])))
    };
    if !packed.starts_with(&MAGIC) {
        return Err("it does not begin as HCOMPRESS does".into());
    }
    let size = |v: i64| usize::try_from(v).unwrap_or(0);
    let (nx, ny, scale) = (size(word(2)?), size(word(6)?), word(10)?);
    if nx.checked_mul(ny) != Some(n) || n == 0 {
        return Err(format!("a tile of {nx} × {ny}, expected {n} values"));
    }
    let sum = word(14)? << 32 | (word(18)? & 0xffff_ffff);
    let planes: [usize; 3] = match packed.get(22..25) {
        Some(b) => [b[0].into(), b[1].into(), b[2].into()],
        None => return Err("the tile ends early".into()),
    };
    if planes.iter().any(|p| *p > 62) {
        return Err(format!("bit planes {planes:?}"));
    }
    let mut a = coefficients(&packed[25..], nx, ny, planes)?;
    a[0] = sum;
    if scale > 1 {
        a.iter_mut().for_each(|v| *v = v.wrapping_mul(scale));
    }
    invert(&mut a, nx, ny);
    Ok(a)
}

/// The four quadrants of coefficients `[x][y]`, then their signs.
fn coefficients(
    packed: &[u8],
    nx: usize,
    ny: usize,
    planes: [usize; 3],
) -> Result<Vec<i64>, String> {
    let mut bits = Bits {
        bytes: packed,
        at: 0,
    };
    let mut a = vec![0i64; nx * ny];
    let (nx2, ny2) = (nx.div_ceil(2), ny.div_ceil(2));
    for (first, w, h, planes) in [
        (0, nx2, ny2, planes[0]),
        (ny2, nx2, ny / 2, planes[1]),
        (ny * nx2, nx / 2, ny2, planes[1]),
        (ny * nx2 + ny2, nx / 2, ny / 2, planes[2]),
    ] {
        quadrant(&mut bits, &mut a, first, ny, (w, h), planes)?;
    }
    if bits.take(4)? != 0 {
        return Err("bit planes without their end".into());
    }
    bits.at = bits.at.next_multiple_of(8);
    for v in a.iter_mut().filter(|v| **v != 0) {
        if bits.bit()? == 1 {
            *v = -*v;
        }
    }
    Ok(a)
}

/// Halvings of a length until it is one.
fn depth(n: usize) -> usize {
    n.next_power_of_two().trailing_zeros() as usize
}

/// Bit planes of a quadrant of `size`, in rows of `n` from `first` on.
fn quadrant(
    bits: &mut Bits,
    a: &mut [i64],
    first: usize,
    n: usize,
    (nx, ny): (usize, usize),
    planes: usize,
) -> Result<(), String> {
    let nodes = nx.div_ceil(2) * ny.div_ceil(2);
    let mut tree = vec![0u8; nodes.max(1)];
    let levels = depth(nx.max(ny));
    for plane in (0..planes).rev() {
        match bits.take(4)? {
            0 => {
                for v in tree.iter_mut().take(nodes) {
                    *v = bits.take(4)? as u8;
                }
            }
            0xf => {
                tree[0] = bits.node()?;
                let (mut wx, mut wy, mut fx, mut fy) = (1, 1, nx, ny);
                for k in (1..levels).rev() {
                    let c = 1 << k;
                    (wx, fx) = halves(wx, fx, c);
                    (wy, fy) = halves(wy, fy, c);
                    expand(bits, &mut tree, wx, wy)?;
                }
            }
            other => return Err(format!("a bit plane of kind {other}")),
        }
        // Into the coefficients.
        for (k, v) in tree.iter().take(nodes).enumerate() {
            let (i, j) = (k / ny.div_ceil(2) * 2, k % ny.div_ceil(2) * 2);
            for (bit, (x, y)) in [(3, (0, 0)), (2, (0, 1)), (1, (1, 0)), (0, (1, 1))] {
                if i + x < nx && j + y < ny {
                    a[first + (i + x) * n + j + y] |= i64::from(v >> bit & 1) << plane;
                }
            }
        }
    }
    Ok(())
}

/// The size at the next level of a tree, and what is left of the whole.
fn halves(size: usize, left: usize, c: usize) -> (usize, usize) {
    if left <= c {
        (2 * size - 1, left)
    } else {
        (2 * size, left - c)
    }
}

/// Each bit of a node becomes a node, whose bits are read where it is set.
fn expand(bits: &mut Bits, tree: &mut Vec<u8>, nx: usize, ny: usize) -> Result<(), String> {
    let half = ny.div_ceil(2);
    if tree.len() < nx * ny {
        tree.resize(nx * ny, 0);
    }
    let parents = tree.clone();
    for i in 0..nx {
        for j in 0..ny {
            let bit = 3 - 2 * (i % 2) - j % 2;
            tree[i * ny + j] = parents[i / 2 * half + j / 2] >> bit & 1;
        }
    }
    for k in (0..nx * ny).rev() {
        if tree[k] != 0 {
            tree[k] = bits.node()?;
        }
    }
    Ok(())
}

/// First half of a line to its even places, second to the odd ones.
fn interleave(a: &mut [i64], first: usize, step: usize, n: usize, line: &mut Vec<i64>) {
    line.clear();
    line.extend((0..n).map(|i| a[first + i * step]));
    let half = n.div_ceil(2);
    for i in 0..n {
        a[first + i * step] = line[i / 2 + if i % 2 == 1 { half } else { 0 }];
    }
}

/// To the multiple of `mask`'s lowest bit, halves away from zero where `plus` is half of it.
fn rounded(v: i64, plus: i64, minus: i64, mask: i64) -> i64 {
    v.wrapping_add(if v >= 0 { plus } else { minus }) & mask
}

/// Inverse H-transform in place.
fn invert(a: &mut [i64], nx: usize, ny: usize) {
    let levels = depth(nx.max(ny));
    if levels == 0 {
        return;
    }
    let mut bit = 1i64 << (levels - 1);
    a[0] = rounded(a[0], 2 * bit, 2 * bit - 1, -(4 * bit));
    let (mut wx, mut wy, mut fx, mut fy) = (1, 1, nx, ny);
    let mut line = Vec::with_capacity(nx.max(ny));
    for k in (0..levels).rev() {
        let c = 1 << k;
        (wx, fx) = halves(wx, fx, c);
        (wy, fy) = halves(wy, fy, c);
        (0..wx).for_each(|i| interleave(a, ny * i, 1, wy, &mut line));
        (0..wy).for_each(|j| interleave(a, j, ny, wx, &mut line));
        level(a, (wx, wy), ny, bit, k == 0);
        bit >>= 1;
    }
}

/// One level: each 2 × 2 of sum and differences becomes four values.
fn level(a: &mut [i64], (nx, ny): (usize, usize), n: usize, bit0: i64, last: bool) {
    let shift = if last { 2 } else { 1 };
    let bit1 = 2 * bit0;
    let (plus0, plus1) = (bit0 / 2, bit0);
    let minus0 = if last { 0 } else { plus0 - 1 };
    let minus1 = plus1 - 1;
    for i in (0..nx).step_by(2) {
        for j in (0..ny).step_by(2) {
            let s00 = n * i + j;
            let (down, right) = (i + 1 < nx, j + 1 < ny);
            let h0 = a[s00];
            if down && right {
                let (s10, s01) = (s00 + n, s00 + 1);
                let mut hx = rounded(a[s10], plus1, minus1, -bit1);
                let mut hy = rounded(a[s01], plus1, minus1, -bit1);
                let hc = rounded(a[s10 + 1], plus0, minus0, -bit0);
                let low0 = hc & bit0;
                let toward = |v: i64| v.wrapping_add(if v >= 0 { -low0 } else { low0 });
                (hx, hy) = (toward(hx), toward(hy));
                let low1 = (hc ^ hx ^ hy) & bit1;
                let h0 = h0.wrapping_add(match (h0 >= 0, low0) {
                    (false, 0) => low1,
                    _ => low0 - low1,
                });
                let sum = |x: i64, y: i64, c: i64| {
                    h0.wrapping_add(x).wrapping_add(y).wrapping_add(c) >> shift
                };
                a[s10 + 1] = sum(hx, hy, hc);
                a[s10] = sum(hx, hy.wrapping_neg(), hc.wrapping_neg());
                a[s01] = sum(hx.wrapping_neg(), hy, hc.wrapping_neg());
                a[s00] = sum(hx.wrapping_neg(), hy.wrapping_neg(), hc);
            } else if down || right {
                let other = if down { s00 + n } else { s00 + 1 };
                let h = rounded(a[other], plus1, minus1, -bit1);
                let low1 = h & bit1;
                let h0 = if h0 >= 0 {
                    h0.wrapping_sub(low1)
                } else {
                    h0.wrapping_add(low1)
                };
                a[other] = h0.wrapping_add(h) >> shift;
                a[s00] = h0.wrapping_sub(h) >> shift;
            } else {
                a[s00] = h0 >> shift;
            }
        }
    }
}
