//! Images of any kind: FITS, NumPy, PNG, JPEG, Avro.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let options = slipher_data::cutouts::CutoutOptions::default();
    let mut rows = 0;
    let read = || {
        slipher_data::cutouts::content("x", data.to_vec(), &options, &mut |row| {
            if let Ok(c) = &row.cutout {
                assert_eq!(c.pixels.len(), c.bands.len() * c.height * c.width);
            }
            rows += 1;
            rows < 1000
        })
        .is_ok()
    };
    let _ = slipher_systems::predict::caught(read);
});
