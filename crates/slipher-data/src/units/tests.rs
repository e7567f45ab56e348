use super::*;

fn range(lo: f64, hi: f64, n: usize) -> Vec<f64> {
    (0..n)
        .map(|i| lo + (hi - lo) * i as f64 / (n - 1) as f64)
        .collect()
}

#[test]
fn stated_units_of_all_kinds() {
    for (text, unit) in [
        ("Angstrom", Length(1.0)),
        ("Angstroms", Length(1.0)),
        ("angstroms (vacuum)", Length(1.0)),
        ("AA", Length(1.0)),
        ("0.1 nm", Length(1.0)),
        ("Å", Length(1.0)),
        ("nm", Length(10.0)),
        ("nanometre", Length(10.0)),
        ("µm", Length(1e4)),
        ("microns", Length(1e4)),
        ("m", Length(1e10)),
        ("mm", Length(1e7)),
        ("log(Angstrom)", Log10(1.0)),
        ("log10(nm)", Log10(10.0)),
        ("log Angstrom", Log10(1.0)),
        ("dex", Log10(1.0)),
        ("ln(Angstrom)", Ln(1.0)),
        ("ln(wave)", Ln(1.0)),
        ("GHz", Frequency(1e9)),
        ("keV", Energy(1e3)),
        ("cm**-1", Wavenumber(1.0)),
    ] {
        assert_eq!(WaveUnit::parse(text).unwrap(), Some(unit), "{text}");
    }
    for text in ["", "pixel", " "] {
        assert_eq!(WaveUnit::parse(text).unwrap(), None, "{text}");
    }
    for text in ["km/s", "furlong", "kg", "arcsec"] {
        assert!(WaveUnit::parse(text).is_err(), "{text}");
    }
}

#[test]
fn names_state_units() {
    for (name, unit) in [
        ("wave_nm", Length(10.0)),
        ("wavelength_A", Length(1.0)),
        ("lambda(um)", Length(1e4)),
        ("Wavelength (nm)", Length(10.0)),
        ("WAVE [micron]", Length(1e4)),
        ("wave.angstrom", Length(1.0)),
        ("loglam", Log10(1.0)),
        ("ln_wave", Ln(1.0)),
        ("freq_GHz", Frequency(1e9)),
    ] {
        let s = settle("", name, &range(1.0, 2.0, 50), None).unwrap();
        assert_eq!((s.unit, s.warning), (unit, None), "{name}");
    }
    assert_eq!(split("flux_mJy"), Some(("flux".into(), "mJy".into())));
    assert_eq!(split("flux_err"), None);
    assert_eq!(split("wave_air"), None);
}

/// (numbers, unit, whether another is possible).
#[test]
fn sizes_decide_where_they_can() {
    let log = |lo: f64, step: f64, n: usize| -> Vec<f64> {
        (0..n).map(|i| lo + step * i as f64).collect()
    };
    for (values, unit, unsure) in [
        (range(3600.0, 9800.0, 3000), Length(1.0), false),
        (range(360.0, 980.0, 3000), Length(10.0), false),
        (range(300.0, 2500.0, 3000), Length(10.0), false),
        (range(0.36, 0.98, 3000), Length(1e4), false),
        (range(0.6, 5.3, 400), Length(1e4), false),
        (range(1150.0, 1750.0, 3000), Length(1.0), true),
        (range(950.0, 2450.0, 3000), Length(1.0), true),
        (log(3.58, 1e-4, 3900), Log10(1.0), false),
        (log(8.24, 2e-4, 4400), Ln(1.0), false),
        // F356W of NIRCam in microns, or a prism in log₁₀: nobody can tell.
        (log(3.10, 9.8e-4, 900), Log10(1.0), true),
        // MIRI's channels in microns.
        (range(4.9, 27.9, 9000), Length(1e4), false),
    ] {
        let s = settle("", "wave", &values, None).unwrap();
        assert_eq!(
            (s.unit, s.warning.is_some()),
            (unit, unsure),
            "{} {}: {}",
            values[0],
            values[1],
            s.evidence
        );
    }
    // The user settles it, a statement wins.
    let v = log(3.10, 9.8e-4, 900);
    let asked = Some(Length(1e4));
    let s = settle("", "wave", &v, asked).unwrap();
    assert_eq!((s.unit, s.warning), (Length(1e4), None));
    let v = range(310.0, 398.0, 900);
    assert_eq!(settle("nm", "wave", &v, asked).unwrap().unit, Length(10.0));
    // Numbers that cannot be what is stated: taken for logarithms, and said so.
    let s = settle("Angstrom", "wave", &log(3.58, 1e-4, 3900), None).unwrap();
    assert_eq!(
        (s.unit, s.warning),
        (Log10(1.0), Some(Warning::WaveUnitContradicts))
    );
    assert!(settle("", "wave", &range(0.0, 1.0, 20), None).is_err());
}

#[test]
fn frequencies_energies_and_wavenumbers() {
    for (unit, v) in [
        (Frequency(1e12), C_KMS * 10.0 / 5000.0),
        (Energy(1.0), 2.479_683_968_6),
        (Wavenumber(1.0), 20_000.0),
    ] {
        let mut w = [v, -1.0];
        unit.to_angstrom(&mut w);
        assert!(
            (w[0] - 5000.0).abs() < 1e-5 && w[1].is_nan(),
            "{unit:?} {}",
            w[0]
        );
    }
}

#[test]
fn fluxes_of_all_kinds() {
    for (text, unit) in [
        ("1e-17 erg/s/cm2/Angstrom", Some(FluxUnit::PerWavelength)),
        ("W m-2 um-1", Some(FluxUnit::PerWavelength)),
        ("mJy", Some(FluxUnit::PerFrequency)),
        ("erg s-1 cm-2 Hz-1", Some(FluxUnit::PerFrequency)),
        ("mag(AB)", Some(FluxUnit::Magnitude)),
        ("ABmag", Some(FluxUnit::Magnitude)),
        ("photons/s/cm2/A", Some(FluxUnit::Photons)),
        ("nanomaggies", Some(FluxUnit::PerFrequency)),
        ("", None),
    ] {
        assert_eq!(FluxUnit::parse(text), unit, "{text}");
    }
}
