//! Views of an encoded image: at random in training, a fixed list in prediction.

use serde::{Deserialize, Serialize};
use slipher_nn::augment::{Affine, crop, turned, view};
use slipher_sim::random::Stream;

use crate::geometry::Geometry;

/// What a view may do to an image.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Augment {
    /// Turns by any angle, in one resampling; else quarter turns, without.
    pub any_angle: bool,
    /// Pixels.
    pub shift: f32,
    /// Largest zoom; its inverse is the smallest. Needs `any_angle`.
    pub zoom: f32,
}

/// A view without resampling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Element of the square's symmetry.
    pub turn: usize,
    /// (x, y) in pixels.
    pub shift: (i32, i32),
}

impl Augment {
    /// Quarter turns and mirror images only.
    pub const TURNS: Augment = Augment {
        any_angle: false,
        shift: 0.0,
        zoom: 1.0,
    };

    /// A random view of `stored`; the element of the square's symmetry that it was turned by.
    pub fn draw(&self, g: Geometry, stored: &[f32], rng: &mut Stream, out: &mut Vec<f32>) -> usize {
        if let Geometry::Series { .. } = g {
            out.clear();
            out.extend_from_slice(stored);
            return 0;
        }
        if self.any_angle {
            let zoom = rng.log_uniform(1.0 / f64::from(self.zoom), f64::from(self.zoom)) as f32;
            let shift =
                [0, 1].map(|_| rng.uniform(-f64::from(self.shift), f64::from(self.shift)) as f32);
            let a = Affine::new(
                rng.uniform(0.0, 2.0 * std::f64::consts::PI) as f32,
                rng.chance(0.5),
                zoom,
                shift,
            );
            view(stored, g.stored(), g.stored(), g.side(), 1.0, &a, out);
            0
        } else {
            let most = (self.shift as i32).min((g.stored() - g.side()) as i32 / 2);
            let mut shift = || rng.below(2 * most as usize + 1) as i32 - most;
            let v = View {
                shift: (shift(), shift()),
                turn: rng.below(8),
            };
            v.of(g, stored, out);
            v.turn
        }
    }
}

impl View {
    /// The image as it is.
    pub const PLAIN: View = View {
        turn: 0,
        shift: (0, 0),
    };

    /// The view of `[channel][stored][stored]`: `[channel][side][side]`.
    pub fn of(&self, g: Geometry, stored: &[f32], out: &mut Vec<f32>) {
        if let Geometry::Series { .. } = g {
            out.clear();
            out.extend_from_slice(stored);
            return;
        }
        let at = |d: i32| {
            (((g.stored() - g.side()) as i32 / 2) + d).clamp(0, (g.stored() - g.side()) as i32)
                as usize
        };
        let cut = crop(
            stored,
            (g.stored(), g.stored()),
            g.side(),
            (at(self.shift.0), at(self.shift.1)),
        );
        *out = if self.turn == 0 {
            cut
        } else {
            turned(&cut, g.side(), self.turn)
        };
    }

    /// All turns in `turns` by all shifts in `shifts` along either axis.
    pub fn list(turns: &[usize], shifts: &[i32]) -> Vec<View> {
        let at = |y: &i32| shifts.iter().map(|x| (*y, *x)).collect::<Vec<_>>();
        turns
            .iter()
            .flat_map(|t| {
                shifts
                    .iter()
                    .flat_map(at)
                    .map(move |shift| View { turn: *t, shift })
            })
            .collect()
    }
}
