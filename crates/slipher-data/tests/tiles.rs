//! Images that astropy compressed in tiles, against what astropy unpacks (scripts/golden_tiles.py).

use std::path::Path;

use slipher_data::fits::{Fits, Kind, read_bytes};

fn golden() -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tiles.fits.gz");
    read_bytes(&file).unwrap()
}

#[test]
fn images_are_unpacked_as_astropy_does() {
    let f = Fits::parse(golden()).unwrap();
    assert_eq!(f.damage, None);
    let packed: Vec<usize> = (0..f.hdus.len())
        .filter(|i| f.hdus[*i].kind == Kind::Compressed)
        .collect();
    assert!(packed.len() > 18, "{} images", packed.len());
    for hdu in packed {
        let name = f.hdus[hdu].header.str("EXTNAME").unwrap_or_default();
        let got = f.image(hdu).unwrap_or_else(|e| panic!("{name}: {e}"));
        let want = f.image(hdu + 1).unwrap();
        assert_eq!(got.axes, want.axes, "{name}");
        for r in 0..want.rows() {
            for (i, (a, b)) in got.row(r).iter().zip(want.row(r)).enumerate() {
                let same = *a == b || a.is_nan() && b.is_nan();
                // Dithered values are rounded to single precision at other places.
                let near = (a - b).abs() < 1e-6 * (1.0 + b.abs());
                assert!(same || near, "{name} row {r} pixel {i}: {a} instead of {b}");
            }
        }
    }
}

/// A damaged tile is an error of the image, not a panic.
#[test]
fn damaged_tiles_are_refused() {
    let whole = golden();
    for k in 0..400usize {
        let mut bytes = whole.clone();
        let at = 2880 + (k * 7919) % (bytes.len() - 2880);
        bytes[at] ^= 1 << (k % 8);
        if let Ok(f) = Fits::parse(bytes) {
            (0..f.hdus.len()).for_each(|i| {
                let _ = f.image(i).map(|im| im.row(0));
            });
        }
    }
}
