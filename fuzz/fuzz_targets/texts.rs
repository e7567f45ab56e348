//! Recipes, instruments, priors, units, sizes, manifests, warnings.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let _ = slipher_systems::redshift::recipe::Recipe::parse(text);
    let _ = slipher_systems::train::Recipe::read(text);
    let _ = slipher_sim::instrument::Instrument::parse("x", text);
    let _ = slipher_data::units::WaveUnit::parse(text);
    let _ = slipher_data::units::FluxUnit::parse(text);
    let _ = slipher_data::units::split(text);
    let _ = slipher_data::budget::parse(text);
    let _ = slipher_data::warning::Warning::split(text);
    let _ = serde_json::from_str::<slipher_systems::shards::Manifest>(text);
});
