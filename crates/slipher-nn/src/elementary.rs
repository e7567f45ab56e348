//! exp, ln and asinh over slices in single precision, written so that they vectorise.
//!
//! The polynomials are those of Cephes (Moshier 1989, `expf`, `logf`): a few units in the last
//! place.

use crate::lanes::vectorised;

/// e^x; 0 below −87.3, the largest finite numbers above 88.3.
#[inline(always)]
fn exp_one(x: f32) -> f32 {
    let x = x.clamp(-87.33, 88.37);
    let n = (x * std::f32::consts::LOG2_E + 12_582_912.0) - 12_582_912.0;
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut p = 1.987_569_2e-4;
    for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
        p = p * r + c;
    }
    let y = p * r * r + r + 1.0;
    y * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

/// ln x of a positive, finite, normal x.
#[inline(always)]
fn ln_one(x: f32) -> f32 {
    let bits = x.to_bits();
    // x = m · 2^e with m in [√½, √2)
    let shifted = bits.wrapping_sub(0x3F35_04F3);
    let e = (shifted as i32 >> 23) as f32;
    let m = f32::from_bits((shifted & 0x007F_FFFF).wrapping_add(0x3F35_04F3)) - 1.0;
    let mut p = 7.037_683_6e-2;
    for c in [
        -0.115_146_1,
        0.116_769_984,
        -0.124_201_41,
        0.142_493_23,
        -0.166_680_57,
        0.200_007_15,
        -0.249_999_94,
        0.333_333_3,
    ] {
        p = p * m + c;
    }
    let z = m * m;
    p * m * z + e * -2.121_944_4e-4 - 0.5 * z + m + e * 0.693_359_4
}

/// asinh x, for |x| below 10^18.
#[inline(always)]
fn asinh_one(x: f32) -> f32 {
    let a = x.abs();
    ln_one(a + (a * a + 1.0).sqrt()).copysign(x)
}

macro_rules! over_slices {
    ($(#[$doc:meta])* $name:ident, $one:ident) => {
        $(#[$doc])*
        pub fn $name(values: &mut [f32]) {
            #[inline(always)]
            fn all(values: &mut [f32]) {
                values.iter_mut().for_each(|v| *v = $one(*v));
            }
            vectorised!(all(values: &mut [f32]))
        }
    };
}

over_slices!(
    /// Each value to its exponential; values below −87.3 to about 10⁻³⁸.
    exp,
    exp_one
);
over_slices!(
    /// Each value, positive and finite, to its natural logarithm.
    ln,
    ln_one
);
over_slices!(
    /// Each value to its inverse hyperbolic sine.
    asinh,
    asinh_one
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_standard_library() {
        let check = |f: fn(&mut [f32]), want: fn(f64) -> f64, from: &[f32]| {
            let mut y = from.to_vec();
            f(&mut y);
            for (x, y) in from.iter().zip(y) {
                let w = want(f64::from(*x));
                assert!(
                    (f64::from(y) - w).abs()
                        <= 3e-7 * (w.abs() + 0.3f64.min(w.abs() + 1e-7))
                            + 2e-7 * f64::from(u8::from(w.abs() < 1.0)),
                    "{x}: {y} {w}"
                );
            }
        };
        let some: Vec<f32> = (-870..880).map(|i| i as f32 * 0.1).collect();
        check(exp, f64::exp, &some);
        let positive: Vec<f32> = (-120..120)
            .map(|i| 2f32.powf(i as f32 * 0.9))
            .chain([1.0, 0.999, 1.001, 1.414, 1.415])
            .collect();
        check(ln, f64::ln, &positive);
        let both: Vec<f32> = positive
            .iter()
            .filter(|x| **x < 1e9)
            .flat_map(|x| [*x, -x])
            .chain([0.0])
            .collect();
        check(asinh, f64::asinh, &both);
        let mut far = [-1e9f32, 1e9];
        exp(&mut far);
        assert!(far[0] < 1e-37 && far[1].is_finite());
    }
}
