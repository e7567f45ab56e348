//! Γ functions and the constant b of Sérsic's profile, to the last digits.

use super::sersic::{b as approximate, ln_gamma};

/// ψ(x), the derivative of ln Γ, for x > 0 (recurrence and asymptotic series; 10⁻¹²).
pub fn digamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < 12.0 {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let y = 1.0 / (x * x);
    let series = y * (1.0 / 12.0 - y * (1.0 / 120.0 - y * (1.0 / 252.0 - y / 240.0)));
    sum + x.ln() - 0.5 / x - series
}

/// Regularised lower incomplete Γ function P(a, x).
pub fn lower(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut k) = (1.0 / a, 1.0 / a, a);
        for _ in 0..500 {
            k += 1.0;
            term *= x / k;
            sum += term;
            if term < 1e-16 * sum {
                break;
            }
        }
        front * sum
    } else {
        // Lentz's continued fraction.
        const TINY: f64 = 1e-300;
        let mut b = x + 1.0 - a;
        let mut c = 1.0 / TINY;
        let mut d = 1.0 / b;
        let mut h = d;
        for i in 1..500 {
            let i = f64::from(i);
            let an = -i * (i - a);
            b += 2.0;
            d = 1.0 / (an * d + b).abs().max(TINY).copysign(an * d + b);
            c = (b + an / c).abs().max(TINY).copysign(b + an / c);
            h *= d * c;
            if (d * c - 1.0).abs() < 1e-16 {
                break;
            }
        }
        1.0 - front * h
    }
}

/// b with Γ(2n) = 2 γ(2n, b), by Newton's method.
pub fn b(n: f64) -> f64 {
    let a = 2.0 * n;
    let mut x = approximate(n).max(1e-3);
    for _ in 0..20 {
        let slope = ((a - 1.0) * x.ln() - x - ln_gamma(a)).exp();
        let step = (lower(a, x) - 0.5) / slope;
        x = (x - step).max(0.1 * x);
        if step.abs() < 1e-14 * x {
            break;
        }
    }
    x
}

/// db/dn.
pub fn slope_of_b(n: f64) -> f64 {
    let h = 1e-4 * n;
    (b(n + h) - b(n - h)) / (2.0 * h)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy.special.digamma, gammainc, and gammaincinv(2n, 0.5).
    #[test]
    fn golden_values() {
        for (x, want) in [
            (0.7, -1.220_023_553_697_935_1),
            (3.0, 0.922_784_335_098_467_1),
            (16.0, 2.741_013_328_327_467),
        ] {
            assert!((digamma(x) - want).abs() < 1e-12, "{x} {}", digamma(x));
        }
        assert!((lower(2.0, 1.678_346_990_016_661_2) - 0.5).abs() < 1e-13);
        assert!(
            (lower(8.0, 20.0) - 0.999_221_409_917_492_6).abs() < 1e-12,
            "{}",
            lower(8.0, 20.0)
        );
        for (n, want) in [
            (0.5, std::f64::consts::LN_2),
            (1.0, 1.678_346_990_016_661_2),
            (2.5, 4.670_908_882_8),
            (4.0, 7.669_249_442_5),
            (6.0, 11.668_363_153_0),
        ] {
            assert!((b(n) / want - 1.0).abs() < 1e-10, "{n} {}", b(n));
        }
    }
}
