//! Model files of the redshift system.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = slipher_systems::redshift::model::Model::from_bytes("x", data);
});
