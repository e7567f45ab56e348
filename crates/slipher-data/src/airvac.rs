//! Wavelengths in air to vacuum: Ciddor (1996, Applied Optics 35, 1566), standard air
//! (15 °C, 101.325 kPa, dry, 450 ppm CO₂), as in specutils `Ciddor1996`.

/// Refractive index of standard air at a vacuum wavelength in Å (valid 2300 Å to 1.7 µm).
pub fn refractive_index(vacuum: f64) -> f64 {
    let s2 = (1e4 / vacuum).powi(2);
    1.0 + 1e-8 * (5_792_105.0 / (238.0185 - s2) + 167_917.0 / (57.362 - s2))
}

/// Vacuum wavelength of an air wavelength, both Å. Below 2000 Å wavelengths are vacuum by
/// convention and stay as they are.
pub fn air_to_vacuum(air: f64) -> f64 {
    if air < 2000.0 {
        return air;
    }
    let mut vacuum = air;
    for _ in 0..4 {
        vacuum = air * refractive_index(vacuum);
    }
    vacuum
}

/// Air wavelength of a vacuum wavelength, Å; below 2000 Å there is no air.
pub fn vacuum_to_air(vacuum: f64) -> f64 {
    if vacuum < 2000.0 {
        vacuum
    } else {
        vacuum / refractive_index(vacuum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_lines() {
        // NIST air and vacuum wavelengths.
        for (air, vac) in [
            (4861.333, 4862.691),
            (5006.843, 5008.240),
            (6562.819, 6564.632),
            (8542.09, 8544.44),
        ] {
            assert!((air_to_vacuum(air) - vac).abs() < 0.01, "{air}");
            assert!((vacuum_to_air(air_to_vacuum(air)) - air).abs() < 1e-9);
        }
        assert_eq!(air_to_vacuum(1215.67), 1215.67);
    }
}
