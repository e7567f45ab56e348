//! One spectrum in memory.

use crate::warning::Warning;

/// Why a pixel is not used. Bits of [`Spectrum::mask`].
pub mod mask {
    /// Flux or error is NaN or infinite.
    pub const NOT_FINITE: u8 = 1;
    /// Inverse variance is zero or negative, or the error is.
    pub const NO_WEIGHT: u8 = 2;
    /// The survey's own mask rejects the pixel.
    pub const SURVEY: u8 = 4;
    /// The wavelength is not finite or not positive.
    pub const NO_WAVELENGTH: u8 = 8;
    /// Part of a run of pixels whose flux is exactly zero: a dead camera, or padding.
    pub const ZERO_RUN: u8 = 16;
}

/// So many fluxes of exactly zero in a row are no measurement.
const ZERO_RUN: usize = 20;

/// What a file says an object is; used for evaluation only, never for prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Redshift.
    pub z: f64,
    /// `GALAXY`, `QSO` or `STAR` as the file writes it.
    pub spectype: String,
    /// Redrock/idlspec2d ZWARN bits, 0 = trusted.
    pub zwarn: i64,
}

/// Where a spectrum comes from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Origin {
    /// Path as the user gave it.
    pub file: String,
    /// HDU number, 0 = primary (0 for text).
    pub hdu: usize,
    /// Row within the HDU (or spectrum number within a file), 0-based.
    pub row: usize,
}

/// A spectrum: wavelength in vacuum Å ascending, flux density per Å, inverse variance (0 = bad).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spectrum {
    /// Pixel centres, vacuum Å, strictly ascending.
    pub wave: Vec<f64>,
    /// Flux density; unit in [`Spectrum::flux_unit`].
    pub flux: Vec<f32>,
    /// Inverse variance of `flux`; 0 for every pixel with a mask bit.
    pub ivar: Vec<f32>,
    /// Bits of [`mask`].
    pub mask: Vec<u8>,
    /// As the file states it, e.g. `1e-17 erg/s/cm2/Angstrom`; empty if it does not.
    pub flux_unit: String,
    /// Identifier; empty if there is none.
    pub object_id: String,
    /// Degrees, ICRS, NaN if unknown.
    pub ra: f64,
    /// Declination in degrees (ICRS); NaN if unknown.
    pub dec: f64,
    /// Where it was read.
    pub origin: Origin,
    /// Exposure metadata as written in the file: plate, fiber, MJD, instrument, …
    pub meta: Vec<(String, String)>,
    /// Each conversion made on the way in, in words.
    pub provenance: Vec<String>,
    /// True if the file had no errors and they were estimated from the scatter.
    pub ivar_estimated: bool,
    /// What was assumed, and what is wrong with the file.
    pub warnings: Vec<Warning>,
    /// What a catalogue says of it, if anything.
    pub truth: Option<Truth>,
}

/// Why pixels could not become a [`Spectrum`].
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum BadSpectrum {
    #[error("wavelength has {wave} pixels, flux {flux}, error {ivar}: expected equal numbers")]
    Lengths {
        wave: usize,
        flux: usize,
        ivar: usize,
    },
    #[error("{0} pixels with a wavelength: expected at least 10")]
    TooShort(usize),
    #[error(
        "wavelength unit '{0}': expected Angstrom, nm, micron, m, Hz, eV, cm-1 or a logarithm of a length; --wave-unit says what it is"
    )]
    Unit(String),
    #[error("unit of the flux '{0}': it is no flux; expected a flux density, counts or none")]
    FluxUnit(String),
    #[error("flux in magnitudes ('{0}'): expected a flux; convert it, f = 10^(-0.4 m)")]
    Magnitudes(String),
    #[error(
        "wavelengths run from {0} to {1}: expected 100 to 10,000,000 Å; --wave-unit says in which unit they are"
    )]
    Range(f64, f64),
}

impl Spectrum {
    /// Puts pixels in ascending order and masks what cannot be used; never guesses a value.
    /// Pixels without a wavelength are dropped; of two pixels at one wavelength the second.
    ///
    /// # Errors
    /// Unequal lengths, fewer than 10 pixels, or an impossible wavelength range.
    pub fn new(
        wave: Vec<f64>,
        flux: Vec<f32>,
        ivar: Vec<f32>,
        survey_mask: &[bool],
    ) -> Result<Self, BadSpectrum> {
        if wave.len() != flux.len() || wave.len() != ivar.len() {
            return Err(BadSpectrum::Lengths {
                wave: wave.len(),
                flux: flux.len(),
                ivar: ivar.len(),
            });
        }
        let mut order: Vec<usize> = (0..wave.len())
            .filter(|&i| wave[i].is_finite() && wave[i] > 0.0)
            .collect();
        if !order.is_sorted_by(|&a, &b| wave[a] < wave[b]) {
            order.sort_by(|&a, &b| wave[a].total_cmp(&wave[b]));
            order.dedup_by(|a, b| wave[*a] == wave[*b]);
        }
        let (Some(&first), Some(&last)) = (order.first(), order.last()) else {
            return Err(BadSpectrum::TooShort(0));
        };
        if order.len() < 10 {
            return Err(BadSpectrum::TooShort(order.len()));
        }
        if wave[first] < 100.0 || wave[last] > 1e7 {
            return Err(BadSpectrum::Range(wave[first], wave[last]));
        }
        let mut out = Spectrum {
            ra: f64::NAN,
            dec: f64::NAN,
            ..Spectrum::default()
        };
        for i in order {
            let mut bits = 0;
            if !flux[i].is_finite() || !ivar[i].is_finite() {
                bits |= mask::NOT_FINITE;
            }
            if ivar[i] <= 0.0 {
                bits |= mask::NO_WEIGHT;
            }
            if survey_mask.get(i).copied().unwrap_or(false) {
                bits |= mask::SURVEY;
            }
            out.wave.push(wave[i]);
            out.flux.push(flux[i]);
            out.ivar.push(if bits == 0 { ivar[i] } else { 0.0 });
            out.mask.push(bits);
        }
        out.reject_zero_runs();
        Ok(out)
    }

    fn reject_zero_runs(&mut self) {
        let mut from = 0;
        for run in self.flux.chunk_by(|a, b| *a == 0.0 && *b == 0.0) {
            let to = from + run.len();
            if run[0] == 0.0 && run.len() >= ZERO_RUN {
                self.mask[from..to]
                    .iter_mut()
                    .for_each(|m| *m |= mask::ZERO_RUN);
                self.ivar[from..to].fill(0.0);
            }
            from = to;
        }
    }

    /// Number of pixels that can be used.
    pub fn good_pixels(&self) -> usize {
        self.ivar.iter().filter(|v| **v > 0.0).count()
    }

    /// Median of flux·√ivar over good pixels; 0 if there are none.
    pub fn median_snr(&self) -> f32 {
        let good = self.flux.iter().zip(&self.ivar).filter(|(_, v)| **v > 0.0);
        let mut snr: Vec<f32> = good.map(|(f, v)| f * v.sqrt()).collect();
        median(&mut snr)
    }
}

/// Median, reordering `v`; 0 for an empty slice.
pub fn median(v: &mut [f32]) -> f32 {
    if v.is_empty() {
        return 0.0;
    }
    let mid = v.len() / 2;
    *v.select_nth_unstable_by(mid, f32::total_cmp).1
}

/// Inverse variance from the scatter of a spectrum without errors: running median of
/// `|f[i] − (f[i−1] + f[i+1])/2| / 0.826`, in windows of 201 pixels (σ of that difference is
/// σ·√1.5, its median absolute value 0.674 of that).
pub fn estimate_ivar(flux: &[f32]) -> Vec<f32> {
    let n = flux.len();
    let diff: Vec<f32> = (0..n)
        .map(|i| {
            if i == 0 || i + 1 == n {
                f32::NAN
            } else {
                (flux[i] - 0.5 * (flux[i - 1] + flux[i + 1])).abs()
            }
        })
        .collect();
    let mut ivar = vec![0.0; n];
    let mut start = 0;
    while start < n {
        let end = (start + 100).min(n);
        let window = start.saturating_sub(50)..(end + 50).min(n);
        let mut d: Vec<f32> = diff[window]
            .iter()
            .copied()
            .filter(|d| d.is_finite() && *d > 0.0)
            .collect();
        let sigma = median(&mut d) / 0.826;
        if sigma > 0.0 {
            for i in start..end {
                ivar[i] = if flux[i].is_finite() && flux[i] != 0.0 {
                    1.0 / (sigma * sigma)
                } else {
                    0.0
                };
            }
        }
        start = end;
    }
    ivar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_pixels_are_masked_and_order_restored() {
        let wave: Vec<f64> = (0..20).rev().map(|i| 4000.0 + f64::from(i)).collect();
        let mut flux = vec![1.0f32; 20];
        let mut ivar = vec![4.0f32; 20];
        flux[3] = f32::NAN;
        ivar[4] = -1.0;
        ivar[5] = f32::INFINITY;
        let mut bad = vec![false; 20];
        bad[6] = true;
        let s = Spectrum::new(wave, flux, ivar, &bad).unwrap();
        assert!(s.wave.is_sorted());
        assert_eq!(s.good_pixels(), 16);
        assert_eq!(
            (s.mask[16], s.mask[15], s.mask[14], s.mask[13]),
            (1, 2, 1, 4)
        );
        assert!((s.median_snr() - 2.0).abs() < 1e-6);
        // A dead camera; a few zeros may be chance.
        let mut flux = vec![1.0f32; 100];
        flux[3..8].fill(0.0);
        flux[50..75].fill(0.0);
        let s = Spectrum::new(
            (0..100).map(|i| 4000.0 + f64::from(i)).collect(),
            flux,
            vec![1.0; 100],
            &[],
        )
        .unwrap();
        assert_eq!(
            (
                s.good_pixels(),
                s.mask[3],
                s.mask[50],
                s.mask[74],
                s.mask[75]
            ),
            (75, 0, mask::ZERO_RUN, mask::ZERO_RUN, 0)
        );
        assert!(Spectrum::new(vec![1.0; 3], vec![1.0; 3], vec![1.0; 2], &[]).is_err());
        assert!(
            Spectrum::new(
                (0..20).map(|i| 0.4 + f64::from(i)).collect(),
                vec![1.0; 20],
                vec![1.0; 20],
                &[]
            )
            .is_err()
        );
    }

    #[test]
    fn scatter_gives_the_noise_back() {
        // A cheap Gaussian: the sum of 12 uniforms.
        let mut s = 1u64;
        let mut uniform = || {
            s = s
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (s >> 40) as f32 / (1u64 << 24) as f32
        };
        let flux: Vec<f32> = (0..4000)
            .map(|i| 10.0 + i as f32 * 1e-3 + 2.0 * ((0..12).map(|_| uniform()).sum::<f32>() - 6.0))
            .collect();
        let ivar = estimate_ivar(&flux);
        let mut sigma: Vec<f32> = ivar.iter().map(|v| 1.0 / v.sqrt()).collect();
        assert!((median(&mut sigma) - 2.0).abs() < 0.15);
    }
}
