//! Parquet with spectra.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let bytes = [&b"PAR1"[..], data].concat();
    let options = slipher_data::formats::ReadOptions::default();
    let read = || slipher_data::formats::parse(Path::new("x.parquet"), bytes, &options).is_ok();
    // The library panics on some damaged files; the pipeline turns that into a row.
    let _ = slipher_systems::predict::caught(read);
});
