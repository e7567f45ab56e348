//! What is bad in a mask: surveys disagree.
//!
//! | survey | mask | bad |
//! |---|---|---|
//! | PypeIt (`DMODCLS`) | `mask`, `OPT_MASK` | 0: the mask is true where a pixel is good |
//! | SDSS, BOSS, MaNGA rows | `and_mask`, `MASK` | bits of [`SDSS_REJECTED`] |
//! | JWST | `DQ` | bit 0, DO_NOT_USE |
//! | Euclid SIR (`FSCALE`) | `MASK` | odd, or at least 64 |
//! | DESI, ESO phase 3 (`QUAL`), others | any | not 0 |
//! | columns `good`, `valid` | | 0 |

use super::names::Role;
use crate::fits::Header;

/// SPPIXMASK bits that make a pixel useless: FULLREJECT 18, NOSKY 22, BRIGHTSKY 23, NODATA 24,
/// BADSKYCHI 27, REDMONSTER 28 (<https://www.sdss4.org/dr17/algorithms/bitmasks/#SPPIXMASK>). The
/// others are remarks; ivar already accounts for them.
pub(super) const SDSS_REJECTED: i64 = 1 << 18 | 1 << 22 | 1 << 23 | 1 << 24 | 1 << 27 | 1 << 28;

/// How a mask is read: which values are bad.
#[derive(Clone, Copy)]
pub(super) struct Sense(fn(f64) -> bool);

/// Anything but 0 is bad.
pub(super) const NONZERO: Sense = Sense(|v| v != 0.0);
/// 0 is bad.
pub(super) const ZERO: Sense = Sense(|v| v == 0.0 || v.is_nan());
/// Bits of SDSS.
pub(super) const SDSS: Sense = Sense(|v| v as i64 & SDSS_REJECTED != 0);
/// DO_NOT_USE.
const JWST: Sense = Sense(|v| v as i64 & 1 != 0);
/// Odd, or at least 64.
const EUCLID: Sense = Sense(|v| v >= 64.0 || v as i64 % 2 != 0);

/// Bad pixels by the mask that `get` finds, of a format whose masks have no headers; none without.
pub(super) fn bad(get: impl Fn(Role) -> Option<Vec<f64>>) -> Vec<bool> {
    [(Role::Mask, NONZERO), (Role::Good, ZERO)]
        .into_iter()
        .find_map(|(r, sense)| Some(sense.bad(&get(r)?)))
        .unwrap_or_default()
}

impl Sense {
    /// Whether each pixel is bad.
    pub fn bad(self, values: &[f64]) -> Vec<bool> {
        values.iter().map(|v| (self.0)(*v)).collect()
    }

    /// Of a mask called `name` in a file with these headers.
    pub fn of(name: &str, role: Role, headers: &[&Header]) -> Sense {
        let has = |key: &str| headers.iter().any(|h| h.str(key).is_some());
        let is = |key: &str, word: &str| {
            headers
                .iter()
                .any(|h| h.str(key).is_some_and(|v| v.to_uppercase().contains(word)))
        };
        let key: String = name
            .to_lowercase()
            .chars()
            .filter(|c| !"_- .".contains(*c))
            .collect();
        if role == Role::Good || has("DMODCLS") || has("PYP_SPEC") {
            return ZERO;
        }
        match key.as_str() {
            // Extractions of PypeIt.
            "optmask" | "boxmask" => ZERO,
            "andmask" => SDSS,
            "mask" if is("INSTRUME", "MANGA") || has("PLATEIFU") => SDSS,
            "dq" if !is("TELESCOP", "HST") => JWST,
            "mask" if has("FSCALE") => EUCLID,
            _ => NONZERO,
        }
    }
}
