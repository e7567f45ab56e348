//! Views of images: any turn, zoom, shift and reflection in one resampling, and the eight of the
//! square without one.

use crate::network::turn;

/// From the pixels of a view back to those of the image, both counted from their centres:
/// source = `matrix` · target + `shift`, (x, y).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Affine {
    /// `[row][column]`, (x, y).
    pub matrix: [[f32; 2]; 2],
    /// (x, y) in pixels.
    pub shift: [f32; 2],
}

impl Affine {
    /// The view shows the image turned by `angle` (radians), reflected first if `flip`, larger by
    /// `zoom`, moved by `shift` pixels.
    pub fn new(angle: f32, flip: bool, zoom: f32, shift: [f32; 2]) -> Affine {
        let (s, c) = angle.sin_cos();
        let f = if flip { -1.0 } else { 1.0 };
        // Back: move, turn back, shrink, reflect.
        let matrix = [[f * c / zoom, f * s / zoom], [-s / zoom, c / zoom]];
        let back = |row: [f32; 2]| -(row[0] * shift[0] + row[1] * shift[1]);
        Affine {
            matrix,
            shift: [back(matrix[0]), back(matrix[1])],
        }
    }
}

/// A square view of `side` pixels of planes `[plane][height][width]`, bilinear; beyond the edges
/// the nearest pixel. `side / scale` pixels of the image are seen: each pixel of the view is the
/// mean of the pixels under it where it is larger than they are.
pub fn view(
    planes: &[f32],
    height: usize,
    width: usize,
    side: usize,
    scale: f32,
    affine: &Affine,
    out: &mut Vec<f32>,
) {
    let count = planes.len() / (height * width);
    let m = affine.matrix.map(|row| row.map(|v| v / scale));
    // Points in a pixel of the view, so that none of the image is skipped.
    let step = (m[0][0].powi(2) + m[1][0].powi(2)).sqrt();
    let points = (step - 0.25).ceil().max(1.0) as usize;
    let offsets: Vec<f32> = (0..points)
        .map(|k| (k as f32 + 0.5) / points as f32 - 0.5)
        .collect();
    let (cx, cy) = (0.5 * (width as f32 - 1.0), 0.5 * (height as f32 - 1.0));
    let middle = 0.5 * (side as f32 - 1.0);
    out.clear();
    out.resize(count * side * side, 0.0);
    let share = 1.0 / (points * points) as f32;
    for i in 0..side * side {
        for p in 0..points * points {
            let tx = (i % side) as f32 - middle + offsets[p % points];
            let ty = (i / side) as f32 - middle + offsets[p / points];
            let sx =
                (m[0][0] * tx + m[0][1] * ty + affine.shift[0] + cx).clamp(0.0, width as f32 - 1.0);
            let sy = (m[1][0] * tx + m[1][1] * ty + affine.shift[1] + cy)
                .clamp(0.0, height as f32 - 1.0);
            let (x0, y0) = (
                (sx as usize).min(width.saturating_sub(2)),
                (sy as usize).min(height.saturating_sub(2)),
            );
            let (fx, fy) = (sx - x0 as f32, sy - y0 as f32);
            let (dx, dy) = (usize::from(width > 1), usize::from(height > 1) * width);
            for (plane, o) in planes
                .chunks_exact(height * width)
                .zip(out[i..].iter_mut().step_by(side * side))
            {
                let at = y0 * width + x0;
                let top = plane[at] * (1.0 - fx) + plane[at + dx] * fx;
                let bottom = plane[at + dy] * (1.0 - fx) + plane[at + dy + dx] * fx;
                *o += share * (top * (1.0 - fy) + bottom * fy);
            }
        }
    }
}

/// Square planes `[plane][side][side]` under element `g` of the square's symmetry
/// ([`crate::network::turn`]), without resampling.
pub fn turned(planes: &[f32], side: usize, g: usize) -> Vec<f32> {
    let mut out = vec![0.0; planes.len()];
    for (from, to) in planes
        .chunks_exact(side * side)
        .zip(out.chunks_exact_mut(side * side))
    {
        for (i, v) in from.iter().enumerate() {
            let (y, x) = turn(g, side, (i / side, i % side));
            to[y * side + x] = *v;
        }
    }
    out
}

/// The square of `side` pixels at row `top`, column `left` of planes `[plane][height][width]`.
pub fn crop(
    planes: &[f32],
    (height, width): (usize, usize),
    side: usize,
    (top, left): (usize, usize),
) -> Vec<f32> {
    assert!(
        top + side <= height && left + side <= width,
        "a square inside the image"
    );
    let rows = planes
        .chunks_exact(height * width)
        .flat_map(|p| p.chunks_exact(width).skip(top).take(side));
    rows.flat_map(|r| r[left..left + side].iter().copied())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<f32> {
        (0..2 * 9 * 9).map(|i| (i as f32 * 0.7).sin()).collect()
    }

    #[test]
    fn quarter_turns_are_exact() {
        let (x, mut out) = (image(), vec![]);
        for g in 0..8 {
            // Rows count downwards: a turn of the square is one by −90°.
            let a = Affine::new(
                -std::f32::consts::FRAC_PI_2 * (g % 4) as f32,
                g >= 4,
                1.0,
                [0.0; 2],
            );
            view(&x, 9, 9, 9, 1.0, &a, &mut out);
            let want = turned(&x, 9, g);
            assert!(
                out.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-4),
                "{g}"
            );
        }
    }

    #[test]
    fn shifts_zooms_and_shrinks() {
        let (x, mut out) = (image(), vec![]);
        view(
            &x,
            9,
            9,
            5,
            1.0,
            &Affine::new(0.0, false, 1.0, [1.0, -1.0]),
            &mut out,
        );
        assert!(
            out.iter()
                .zip(crop(&x, (9, 9), 5, (3, 1)))
                .all(|(a, b)| (a - b).abs() < 1e-5)
        );
        // A ramp stays a ramp: seen at twice the size its slope halves, at a third it is three
        // times as steep.
        let ramp: Vec<f32> = (0..81).map(|i| (i % 9) as f32).collect();
        view(
            &ramp,
            9,
            9,
            5,
            1.0,
            &Affine::new(0.0, false, 2.0, [0.0; 2]),
            &mut out,
        );
        assert!((out[1] - out[0] - 0.5).abs() < 1e-5 && (out[12] - 4.0).abs() < 1e-5);
        view(
            &ramp,
            9,
            9,
            3,
            1.0 / 3.0,
            &Affine::new(0.0, false, 1.0, [0.0; 2]),
            &mut out,
        );
        assert!(
            (out[1] - out[0] - 3.0).abs() < 1e-4 && (out[4] - 4.0).abs() < 1e-5,
            "{out:?}"
        );
    }
}
