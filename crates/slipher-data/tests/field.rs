//! Stamps cut out of large images by their world coordinates.

use std::path::{Path, PathBuf};

use slipher_data::field::Field;
use slipher_data::sources::{Source, read};

/// A primary image of single precision with these cards beside the sizes.
fn write(path: &Path, axes: &[usize], cards: &[(&str, &str)], value: impl Fn(usize) -> f32) {
    let mut text = String::new();
    let mut card = |key: &str, value: &str| {
        text += &format!("{:<80}", format!("{key:<8}= {value:>20}"));
    };
    card("SIMPLE", "T");
    card("BITPIX", "-32");
    card("NAXIS", &axes.len().to_string());
    for (i, n) in axes.iter().enumerate() {
        card(&format!("NAXIS{}", i + 1), &n.to_string());
    }
    cards.iter().for_each(|(k, v)| card(k, v));
    text += &format!("{:<80}", "END");
    let mut bytes = text.into_bytes();
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    (0..axes.iter().product()).for_each(|i| bytes.extend(value(i).to_be_bytes()));
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    std::fs::write(path, bytes).unwrap();
}

const STEP: &str = "5.0E-05";

fn cards<'a>(band: &'a str, crpix: [&'a str; 2], step: &'a str) -> Vec<(&'a str, &'a str)> {
    let left = if step == STEP { "-5.0E-05" } else { "-1.0E-04" };
    vec![
        ("CTYPE1", "'RA---TAN'"),
        ("CTYPE2", "'DEC--TAN'"),
        ("CRPIX1", crpix[0]),
        ("CRPIX2", crpix[1]),
        ("CRVAL1", "150.0"),
        ("CRVAL2", "2.0"),
        ("CDELT1", left),
        ("CDELT2", step),
        ("FILTER", band),
    ]
}

fn at_pixel(x: f64, y: f64) -> Source {
    Source {
        id: "a".into(),
        sky: None,
        pixel: Some([x, y]),
    }
}

/// Bands on one grid, on a shifted one and on one half as fine give the same place of the sky.
#[test]
fn bands_are_registered() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    // A plane that rises to the east and the north: the same function of the sky in all bands.
    let w = 200;
    let value = |x: f64, y: f64| (x + 1000.0 * y) as f32;
    write(
        &path("g.fits"),
        &[w, w],
        &cards("'g'", ["100.5", "100.5"], STEP),
        |i| value((i % w) as f64, (i / w) as f64),
    );
    // Shifted by whole pixels.
    write(
        &path("r.fits"),
        &[w, w],
        &cards("'r'", ["105.5", "98.5"], STEP),
        |i| value((i % w) as f64 - 5.0, (i / w) as f64 + 2.0),
    );
    // Pixels twice as coarse: pixel k of it lies at 2 k + ½ of the first.
    write(
        &path("i.fits"),
        &[w / 2, w / 2],
        &cards("'i'", ["50.5", "50.5"], "1.0E-04"),
        |i| {
            let (x, y) = ((i % (w / 2)) as f64, (i / (w / 2)) as f64);
            value(2.0 * x + 0.5, 2.0 * y + 0.5)
        },
    );
    let files: Vec<PathBuf> = ["g.fits", "r.fits", "i.fits"].map(path).to_vec();
    let field = Field::open(&files, &[]).unwrap();
    assert_eq!(field.bands(), ["g", "r", "i"]);
    assert!((field.scale() - 0.18).abs() < 1e-9);
    let c = field.cut(&at_pixel(90.0, 120.0), 21).unwrap();
    // The middle is the pixel asked for, counted from 1.
    assert_eq!(c.band(0)[10 * 21 + 10], value(89.0, 119.0));
    assert_eq!(c.band(0), c.band(1));
    for (a, b) in c.band(0).iter().zip(c.band(2)) {
        assert!((a - b).abs() < 30.0, "{a} {b}: 0.03 pixels");
    }
    assert_eq!(c.notes.len(), 1, "{:?}", c.notes);
    // By the sky the same stamp.
    let sky = Source {
        sky: Some([c.ra, c.dec]),
        ..Source::default()
    };
    assert_eq!(field.cut(&sky, 21).unwrap().pixels, c.pixels);
    // Beyond the edge there is nothing, and outside is refused.
    let edge = field.cut(&at_pixel(3.0, 100.0), 21).unwrap();
    assert!(edge.band(0)[0].is_nan() && edge.band(0)[10 * 21 + 10].is_finite());
    let why = field.cut(&at_pixel(-5.0, 100.0), 21).unwrap_err();
    assert!(why.contains("outside"), "{why}");
    assert!(field.cut(&Source::default(), 21).is_err());
    // Names that do not fit.
    let why = Field::open(&files, &["u".into()]).err().unwrap();
    assert!(why.contains("1 names to 3 images"), "{why}");
}

/// A cube of bands is as many images; damaged and foreign files are refused by name.
#[test]
fn cubes_and_what_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let mut about = cards("'x'", ["8.5", "8.5"], STEP);
    about.push(("BANDS", "'gri'"));
    write(&path("cube.fits"), &[16, 16, 3], &about, |i| i as f32);
    let field = Field::open(&[path("cube.fits")], &[]).unwrap();
    assert_eq!(field.bands(), ["g", "r", "i"]);
    let c = field.cut(&at_pixel(8.0, 8.0), 3).unwrap();
    assert_eq!(c.band(1)[4], (256 + 7 * 16 + 7) as f32);
    let whole = std::fs::read(path("cube.fits")).unwrap();
    // Weights behind the image are no band.
    let mut about = cards("'g'", ["8.5", "8.5"], STEP);
    write(&path("g.fits"), &[16, 16], &about, |i| i as f32);
    about.push(("EXTNAME", "'WEIGHT'"));
    write(&path("w.fits"), &[16, 16], &about, |_| 1.0);
    let extension = |mut bytes: Vec<u8>| {
        let first = format!("{:<80}", "XTENSION= 'IMAGE   '");
        bytes[..80].copy_from_slice(first.as_bytes());
        bytes
    };
    let both = ["g.fits", "w.fits"].map(|n| std::fs::read(path(n)).unwrap());
    let [g, w] = both;
    std::fs::write(path("mef.fits"), [g, extension(w)].concat()).unwrap();
    let field = Field::open(&[path("mef.fits")], &[]).unwrap();
    assert_eq!(field.bands(), ["g"]);
    std::fs::write(path("short.fits"), &whole[..4000]).unwrap();
    let why = |name: &str| Field::open(&[path(name)], &[]).err().unwrap();
    assert!(why("short.fits").contains("data end early"));
    std::fs::write(path("text.fits"), "hello").unwrap();
    assert!(why("text.fits").contains("text.fits"));
    write(&path("plain.fits"), &[16, 16], &[], |i| i as f32);
    assert!(why("plain.fits").contains("CTYPE1"));
    assert!(
        read(&path("text.fits"))
            .unwrap_err()
            .contains("expected ra")
    );
}
