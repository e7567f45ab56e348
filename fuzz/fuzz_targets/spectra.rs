//! Bytes of any kind as a file of spectra: FITS, VOTable, text, Parquet, HDF5.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let options = slipher_data::formats::ReadOptions::default();
    if let Ok(file) = slipher_data::formats::parse(Path::new("x"), data.to_vec(), &options) {
        for row in &file.rows {
            if let Ok(s) = &row.spectrum {
                assert!(s.wave.len() == s.flux.len() && s.wave.is_sorted());
                assert!(s.ivar.iter().all(|v| v.is_finite() && *v >= 0.0));
            }
        }
    }
});
