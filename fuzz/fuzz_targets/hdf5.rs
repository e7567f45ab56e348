//! HDF5: the signature is given.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let bytes = [&b"\x89HDF\r\n\x1a\n"[..], data].concat();
    let options = slipher_data::formats::ReadOptions::default();
    let _ = slipher_data::formats::parse(Path::new("x.h5"), bytes, &options);
});
