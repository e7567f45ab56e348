//! Sizes of what a network sees.

use slipher_nn::maps::Shape;

/// Sizes of what a network sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Geometry {
    /// Squares.
    Image {
        /// Planes of the square.
        channels: usize,
        /// Side of the square that [`crate::system::System::encode`] gives.
        stored: usize,
        /// Side of the square that a network sees of it.
        side: usize,
    },
    /// Series of `length` steps; views do not turn or shift them.
    Series {
        /// Values of a step.
        channels: usize,
        /// Steps.
        length: usize,
    },
}

impl Geometry {
    /// Channels of what is encoded.
    pub fn channels(self) -> usize {
        match self {
            Geometry::Image { channels, .. } | Geometry::Series { channels, .. } => channels,
        }
    }
    /// Side of what is encoded; length of a series.
    pub fn stored(self) -> usize {
        match self {
            Geometry::Image { stored, .. } => stored,
            Geometry::Series { length, .. } => length,
        }
    }
    /// Side of what a network sees; length of a series.
    pub fn side(self) -> usize {
        match self {
            Geometry::Image { side, .. } => side,
            Geometry::Series { length, .. } => length,
        }
    }
    /// Values that [`crate::system::System::encode`] gives.
    pub fn encoded(self) -> usize {
        match self {
            Geometry::Image {
                channels, stored, ..
            } => channels * stored * stored,
            Geometry::Series { channels, length } => channels * length,
        }
    }
    /// Maps of a network's input of so many channels and this side.
    pub fn maps(self, channels: usize, side: usize) -> Shape {
        match self {
            Geometry::Image { .. } => Shape::new(channels, side, side),
            Geometry::Series { .. } => Shape::line(channels, side),
        }
    }
}

/// Where an element of the square's symmetry takes the axes: `[[x → x, y → x], [x → y, y → y]]`.
fn axes(turn: usize) -> [[f32; 2]; 2] {
    let at = |y: usize, x: usize| {
        let (y, x) = slipher_nn::network::turn(turn, 3, (y, x));
        [x as f32 - 1.0, y as f32 - 1.0]
    };
    let (x, y) = (at(1, 2), at(2, 1));
    [[x[0], y[0]], [x[1], y[1]]]
}

/// An offset (x, y) from the middle of an image that is turned by an element of the square's
/// symmetry.
pub fn turned_vector(turn: usize, [x, y]: [f32; 2]) -> [f32; 2] {
    let m = axes(turn);
    [m[0][0] * x + m[0][1] * y, m[1][0] * x + m[1][1] * y]
}

/// An ellipticity (cos 2φ, sin 2φ) of an image that is turned so.
pub fn turned_ellipticity(turn: usize, [e1, e2]: [f32; 2]) -> [f32; 2] {
    let m = axes(turn);
    let t = [[e1, e2], [e2, -e1]];
    // M T Mᵀ.
    let entry = |i: usize, j: usize| {
        let pairs = (0..2).flat_map(|a| (0..2).map(move |b| (a, b)));
        pairs.map(|(a, b)| m[i][a] * t[a][b] * m[j][b]).sum::<f32>()
    };
    [entry(0, 0), entry(0, 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_nn::augment::turned;

    /// Moments of a turned image are the turned moments.
    #[test]
    fn moments_turn_with_the_image() {
        let n = 9;
        let image: Vec<f32> = (0..n * n).map(|i| ((i * 7) % 13) as f32).collect();
        let moments = |v: &[f32]| {
            let mut m = [0.0f32; 4];
            for (i, w) in v.iter().enumerate() {
                let (x, y) = ((i % n) as f32 - 4.0, (i / n) as f32 - 4.0);
                m[0] += w * x;
                m[1] += w * y;
                m[2] += w * (x * x - y * y);
                m[3] += 2.0 * w * x * y;
            }
            m
        };
        let a = moments(&image);
        for g in 0..8 {
            let b = moments(&turned(&image, n, g));
            let v = turned_vector(g, [a[0], a[1]]);
            let e = turned_ellipticity(g, [a[2], a[3]]);
            assert!(
                [v[0], v[1], e[0], e[1]]
                    .iter()
                    .zip(b)
                    .all(|(x, y)| (x - y).abs() < 0.01),
                "{g}"
            );
        }
    }
}
