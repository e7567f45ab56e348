//! Model files of the other systems.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(system) = slipher_systems::registry::shared("radio") {
        let _ = slipher_systems::model::Model::from_bytes(system, "x", data);
    }
});
