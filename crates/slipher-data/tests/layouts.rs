//! One spectrum in every container, unit, order and mask: what is read is the same spectrum. And a
//! file for each warning.

mod generator;

use generator::*;

use slipher_data::fits::write::{Cells, TableWriter, file};
use slipher_data::formats::{Medium, ReadOptions, read};
use slipher_data::units::WaveUnit;
use slipher_data::warning::Warning;

/// An IMAGE extension of doubles.
fn image(name: &str, axes: &[usize], values: &[f64]) -> Vec<u8> {
    let mut cards = vec![
        "XTENSION= 'IMAGE   '".to_owned(),
        "BITPIX  =                  -64".to_owned(),
        format!("NAXIS   = {:>20}", axes.len()),
    ];
    let axis = |(i, n): (usize, &usize)| format!("NAXIS{}  = {n:>20}", i + 1);
    cards.extend(axes.iter().enumerate().map(axis));
    cards.push("PCOUNT  =                    0".to_owned());
    cards.push("GCOUNT  =                    1".to_owned());
    cards.push(format!("EXTNAME = '{name}'"));
    cards.push("END".to_owned());
    let mut out: Vec<u8> = cards
        .iter()
        .flat_map(|c| format!("{c:<80}").into_bytes())
        .collect();
    out.resize(2880, b' ');
    values.iter().for_each(|v| out.extend(v.to_be_bytes()));
    out.resize(out.len().next_multiple_of(2880), 0);
    out
}

#[test]
fn one_spectrum_in_every_layout_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (wave, flux, sigma, bad) = truth();
    for (container, write) in WRITERS {
        for (unit, of) in UNITS {
            for mask in MASKS {
                for turned in [false, true] {
                    let what = format!("{container} {unit} {mask:?} {turned}");
                    let path = write(&Columns::new(of, mask, turned), unit, dir.path());
                    let s = one(&path, &ReadOptions::default());
                    assert_eq!(s.wave.len(), N, "{what}");
                    for i in 0..N {
                        assert!((s.wave[i] / wave[i] - 1.0).abs() < 1e-9, "{what} {i}");
                        let rejected = mask.is_some() && bad[i];
                        assert_eq!(s.ivar[i] == 0.0, rejected, "{what} {i}");
                        assert!((f64::from(s.flux[i]) - flux[i]).abs() < 1e-5, "{what}");
                        let error = 1.0 / f64::from(s.ivar[i]).sqrt();
                        assert!(rejected || (error / sigma[i] - 1.0).abs() < 1e-5, "{what}");
                    }
                    let unsure = s.warnings.iter().any(|w| w.blocks());
                    assert!(!unsure, "{what}: {:?}", s.warnings);
                }
            }
        }
    }
}

/// Without a statement the reading is right, or the row says that it was a guess.
#[test]
fn unstated_units_are_right_or_flagged() {
    let dir = tempfile::tempdir().unwrap();
    let (wave, ..) = truth();
    // Nobody keeps frequencies or energies without saying so.
    for (unit, of) in UNITS.into_iter().filter(|u| !["THz", "eV"].contains(&u.0)) {
        for stretch in [1.0, 2.0, 0.4] {
            // 2.2 to 2.5 is the K band in microns; nobody keeps log₁₀ of far ultraviolet nm.
            if (unit, stretch) == ("log10(nm)", 0.4) {
                continue;
            }
            let mut c = Columns::new(of, None, false);
            c.wave = wave.iter().map(|w| of(w * stretch)).collect();
            let path = put(dir.path(), "a.txt", c.lines(" ").as_bytes());
            let f = read(&path, &ReadOptions::default());
            let Some(Ok(s)) = f
                .ok()
                .and_then(|f| f.rows.into_iter().next())
                .map(|r| r.spectrum)
            else {
                continue;
            };
            let right = (s.wave[0] / (wave[0] * stretch) - 1.0).abs() < 1e-6;
            let flagged = s.warnings.iter().any(|w| w.blocks());
            assert!(
                right || flagged,
                "{unit} × {stretch}: {} {:?}",
                s.wave[0],
                s.provenance
            );
            // What the user says settles it.
            let options = ReadOptions {
                wave_unit: WaveUnit::parse(unit).unwrap(),
                ..ReadOptions::default()
            };
            let s = one(&path, &options);
            let first = s.wave[0].min(s.wave[N - 1]);
            assert!((first / (wave[0] * stretch) - 1.0).abs() < 1e-6, "{unit}");
            assert!(!s.warnings.iter().any(|w| w.blocks()));
        }
    }
}

/// Every warning is set by a file, and not by the plain one.
#[test]
fn every_warning_is_set_by_something() {
    let dir = tempfile::tempdir().unwrap();
    let (wave, flux, sigma, _) = truth();
    let plain = || Columns::new(|w| w, None, false);
    let vacuum = ReadOptions {
        medium: Some(Medium::Vacuum),
        ..ReadOptions::default()
    };
    let s = one(&fits_pixels(&plain(), "Angstrom", dir.path()), &vacuum);
    assert_eq!(s.warnings, []);
    let mut seen = one(
        &fits_pixels(&plain(), "Angstrom", dir.path()),
        &ReadOptions::default(),
    )
    .warnings;
    // Far ultraviolet in Å, or near infrared in nm.
    let mut c = plain();
    c.wave = (0..N).map(|i| 1200.0 + i as f64).collect();
    seen.extend(one(&fits_pixels(&c, "", dir.path()), &vacuum).warnings);
    let mut c = plain();
    c.wave = wave.iter().map(|w| w.log10()).collect();
    seen.extend(one(&fits_pixels(&c, "Angstrom", dir.path()), &vacuum).warnings);
    let mut c = Columns::new(|w| 2_997_924.58 / w, None, false);
    c.flux_unit = "";
    let path = csv_unit_in_name(&c, "THz", dir.path());
    seen.extend(one(&path, &vacuum).warnings);
    c = plain();
    c.mask = Some(("mask", vec![1; N]));
    seen.extend(one(&fits_pixels(&c, "Angstrom", dir.path()), &vacuum).warnings);
    // A file that is cut: what is left is flagged, and a row more says why.
    let mut t = TableWriter::new("A");
    t.column("wave", "Angstrom", Cells::F64(wave.clone()));
    t.column("flux", "", Cells::F64(flux.clone()));
    t.column("error", "", Cells::F64(sigma.clone()));
    let mut other = TableWriter::new("B");
    other.column("x", "", Cells::F64(vec![1.0; 4000]));
    let whole = file(&[], &[t, other]);
    let path = put(dir.path(), "cut.fits", &whole[..whole.len() - 20_000]);
    let rows = read(&path, &vacuum).unwrap().rows;
    assert_eq!(rows.len(), 2);
    seen.extend(rows[0].spectrum.as_ref().unwrap().warnings.clone());
    assert!(
        rows[1]
            .spectrum
            .as_ref()
            .unwrap_err()
            .contains("ends early")
    );
    let path = put(
        dir.path(),
        "tail.fits",
        &[&whole[..], &[7u8; 2880]].concat(),
    );
    let rows = read(&path, &vacuum).unwrap().rows;
    assert!(
        rows[1]
            .spectrum
            .as_ref()
            .unwrap_err()
            .contains("are no HDU")
    );
    // A DESI coadd of two cameras; with the third nothing is missing.
    for (cameras, missing) in [(&["B", "R"][..], true), (&["B", "R", "Z"], false)] {
        let mut bytes = file(&[], &[]);
        for (k, c) in cameras.iter().enumerate() {
            let start = 3600.0 + 2000.0 * k as f64;
            let wave: Vec<f64> = (0..200).map(|i| start + 9.0 * f64::from(i)).collect();
            bytes.extend(image(&format!("{c}_WAVELENGTH"), &[200], &wave));
            bytes.extend(image(&format!("{c}_FLUX"), &[200, 1], &[1.5; 200]));
            bytes.extend(image(&format!("{c}_IVAR"), &[200, 1], &[4.0; 200]));
        }
        let s = one(&put(dir.path(), "coadd.fits", &bytes), &vacuum);
        assert_eq!(s.warnings.contains(&Warning::CameraMissing), missing);
        seen.extend(s.warnings);
    }
    for w in Warning::ALL {
        assert!(seen.contains(&w), "{} was never set", w.name());
    }
}

/// Magnitudes are no flux; per frequency becomes per wavelength.
#[test]
fn units_of_flux() {
    let dir = tempfile::tempdir().unwrap();
    let c = Columns::new(|w| w, None, false);
    let file = |unit: &str| {
        let head = format!("wave (Angstrom),flux ({unit}),err\n");
        put(dir.path(), "a.csv", (head + &c.lines(",")).as_bytes())
    };
    let rows = read(&file("mag(AB)"), &ReadOptions::default())
        .unwrap()
        .rows;
    assert!(
        rows[0]
            .spectrum
            .as_ref()
            .unwrap_err()
            .contains("magnitudes")
    );
    let per_wavelength = one(&file("erg/s/cm2/A"), &ReadOptions::default());
    let per_frequency = one(&file("mJy"), &ReadOptions::default());
    let ratio = |i: usize| f64::from(per_frequency.flux[i] / per_wavelength.flux[i]);
    let want = (per_wavelength.wave[0] / per_wavelength.wave[N - 1]).powi(2);
    assert!((ratio(N - 1) / ratio(0) / want - 1.0).abs() < 1e-5);
}

/// Two halves of DEEP2, in two extractions, are one spectrum.
#[test]
fn halves_are_one_spectrum() {
    let dir = tempfile::tempdir().unwrap();
    let (wave, flux, sigma, _) = truth();
    let half = |name: &str, range: std::ops::Range<usize>| {
        let mut t = TableWriter::new(name);
        let ivar = sigma.iter().map(|s| s.powi(-2)).collect::<Vec<f64>>();
        for (column, v) in [("LAMBDA", &wave), ("SPEC", &flux), ("IVAR", &ivar)] {
            let cells = Cells::F64s(range.len(), v[range.clone()].to_vec());
            t.column(column, "", cells);
        }
        t
    };
    let tables = [
        half("Bxspf-B", 0..250),
        half("Bxspf-R", 300..N),
        half("Horne-B", 0..300),
        half("Horne-R", 300..N),
    ];
    let path = put(dir.path(), "spec1d.fits", &file(&[], &tables));
    let s = one(&path, &ReadOptions::default());
    assert_eq!((s.wave.len(), s.good_pixels()), (N, N));
    assert!((s.wave[N - 1] / wave[N - 1] - 1.0).abs() < 1e-9);
}
