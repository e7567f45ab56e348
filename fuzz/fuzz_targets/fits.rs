//! Headers, images and tables of FITS, packed ones too.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // Without its first word a file is refused at once.
    let bytes = [b"SIMPLE", data].concat();
    if let Ok(f) = slipher_data::fits::Fits::parse(bytes) {
        for i in 0..f.hdus.len().min(50) {
            if let Ok(im) = f.image(i) {
                let _ = (im.row(0), im.row(im.rows().saturating_sub(1)));
            }
            if let Ok(t) = f.table(i) {
                for c in t.columns().iter().take(50) {
                    let _ = (t.f64(&c.name, 0), t.whole(&c.name), t.text(&c.name, 0));
                }
            }
        }
    }
});
