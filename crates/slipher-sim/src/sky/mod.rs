//! Images of the sky through a telescope.
//!
//! * [`psf`], [`sersic`]: point sources and smooth profiles, integrated over pixels; [`exact`],
//!   [`gamma`]: the same to the last digits and with derivatives, for fits.
//! * [`galaxy`]: bulge, disc, spiral arms, bar, ring and clumps.
//! * [`convolve`]: profiles through a point-spread function.
//! * [`detector`]: photons, read-out noise and defects.
//! * [`radio`]: lobes and jets through a beam, with correlated noise.
//! * [`subtraction`]: a template, a new image and their difference.
//! * [`colours`]: magnitudes of SEDs through filters.
//!
//! Lengths are pixels, angles radians from the x axis towards y (columns towards rows), pixel (0,
//! 0) has its centre at (0, 0).

pub mod colours;
pub mod convolve;
pub mod detector;
pub mod exact;
pub mod galaxy;
pub mod gamma;
pub mod psf;
pub mod radio;
pub mod sersic;
pub mod subtraction;

/// One band: `[row][column]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plane {
    /// Pixels from bottom to top.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// `[row][column]`.
    pub data: Vec<f32>,
}

impl Plane {
    /// Zeros.
    pub fn new(height: usize, width: usize) -> Plane {
        Plane {
            height,
            width,
            data: vec![0.0; height * width],
        }
    }
    /// Zeros in a square.
    pub fn square(side: usize) -> Plane {
        Plane::new(side, side)
    }
    /// Position of the centre, (x, y).
    pub fn centre(&self) -> (f64, f64) {
        (
            0.5 * (self.width as f64 - 1.0),
            0.5 * (self.height as f64 - 1.0),
        )
    }
    /// Value of a pixel.
    pub fn at(&self, y: usize, x: usize) -> f32 {
        self.data[y * self.width + x]
    }
    /// Sum of all pixels.
    pub fn total(&self) -> f64 {
        self.data.iter().map(|v| f64::from(*v)).sum()
    }
    /// Adds `factor` times another plane of the same size.
    pub fn add(&mut self, other: &Plane, factor: f32) {
        assert_eq!((self.height, self.width), (other.height, other.width));
        self.data
            .iter_mut()
            .zip(&other.data)
            .for_each(|(a, b)| *a += factor * b);
    }
    /// Sums of squares of `k × k` pixels. A profile much smaller than a pixel must be drawn finer
    /// than the pixels before it is convolved.
    pub fn binned(&self, k: usize) -> Plane {
        let mut out = Plane::new(self.height / k, self.width / k);
        for (y, row) in self
            .data
            .chunks_exact(self.width)
            .take(out.height * k)
            .enumerate()
        {
            for (x, v) in row.iter().take(out.width * k).enumerate() {
                out.data[y / k * out.width + x / k] += v;
            }
        }
        out
    }
    /// The square of `side` pixels around the middle.
    pub fn middle(&self, side: usize) -> Plane {
        let (top, left) = ((self.height - side) / 2, (self.width - side) / 2);
        let rows = self.data.chunks_exact(self.width).skip(top).take(side);
        Plane {
            height: side,
            width: side,
            data: rows
                .flat_map(|r| r[left..left + side].iter().copied())
                .collect(),
        }
    }
}
