//! One vocabulary of training recipes: `learning_rate`, `weight_decay`, `optimiser = { name = … }`,
//! `examples_seen`, `curve_points`, `curve_rows`. The words of 0.1 are read for one release.

use serde::de::DeserializeOwned;

/// (word of 0.1, word).
const WORDS: [(&str, &str); 6] = [
    ("rate", "learning_rate"),
    ("decay", "weight_decay"),
    ("rule", "optimiser"),
    ("shown", "examples_seen"),
    ("looks", "curve_points"),
    ("watched", "curve_rows"),
];

/// Reads a recipe.
///
/// # Errors
/// No TOML, or a field that is missing, unknown, of the wrong type or given twice.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let mut table: toml::Table = toml::from_str(text).map_err(|e| e.to_string())?;
    for (old, new) in WORDS {
        if let Some(v) = table.remove(old) {
            if table.contains_key(new) {
                return Err(format!(
                    "both '{old}' and '{new}', which are one: leave '{old}' out"
                ));
            }
            table.insert(new.into(), v);
        }
    }
    if let Some(toml::Value::Table(o)) = table.get_mut("optimiser")
        && let Some(v) = o.remove("rule")
    {
        o.insert("name".into(), v);
    }
    // From text again: messages name the line of what does not fit.
    toml::from_str(&table.to_string()).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct R {
        learning_rate: f64,
        optimiser: slipher_nn::optimiser::Rule,
    }

    #[test]
    fn old_words_are_read_and_contradictions_refused() {
        let new =
            "learning_rate = 1e-3\noptimiser = { name = \"sgd\", momentum = 0.9, nesterov = true }";
        let old = "rate = 1e-3\nrule = { rule = \"sgd\", momentum = 0.9, nesterov = true }";
        assert_eq!(read::<R>(new).unwrap(), read::<R>(old).unwrap());
        assert!(read::<R>(&format!("{new}\nrate = 1.0").replace("optimiser", "x.y")).is_err());
        let both = format!("rate = 1.0\n{new}");
        assert!(read::<R>(&both).unwrap_err().contains("'rate'"));
        assert!(
            read::<R>("learning_rat = 1")
                .unwrap_err()
                .contains("learning_rat")
        );
    }
}
