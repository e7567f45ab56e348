//! Lens models in the formats of other codes: COOLEST (Galan et al. 2023, JOSS 8, 5567), keyword
//! arguments of lenstronomy, PyAutoLens' conventions.

use serde_json::{Value, json};
use slipher_nn::heads::posterior::Posterior;
use slipher_sim::lens::sie::axes;

use super::{OUTPUTS, STAMP};

/// A model in arcseconds from the middle of the stamp, with errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LensParameters {
    /// θ_E of the intermediate axis and its error.
    pub theta_e: [f64; 2],
    /// e₁, e₂ with errors.
    pub e: [[f64; 2]; 2],
    /// Centre with errors.
    pub centre: [[f64; 2]; 2],
    /// γ₁, γ₂ with errors.
    pub shear: [[f64; 2]; 2],
}

/// Names of the formats.
pub const NAMES: [&str; 3] = ["coolest", "lenstronomy", "pyautolens"];

/// A row of a catalogue in a format, by the values of its columns.
///
/// # Errors
/// No pixel scale, or a lens without an answer.
pub fn row(format: &str, name: &str, number: &dyn Fn(&str) -> f64) -> Result<Value, String> {
    let [scale, width, height] = STAMP.map(number);
    if !(scale > 0.0 && scale.is_finite()) {
        return Err("no pixel scale; give --pixel-scale".into());
    }
    let pixels = (height.max(0.0) as usize, width.max(0.0) as usize);
    let each = |j: usize| [number(OUTPUTS[j]), number(&format!("{}_err", OUTPUTS[j]))];
    if (0..OUTPUTS.len()).any(|j| !each(j)[0].is_finite()) {
        return Err("no answer".into());
    }
    let lens = LensParameters::of_columns(&each, pixels, scale);
    match format {
        "coolest" => Ok(lens.coolest(name, pixels, scale)),
        "lenstronomy" => Ok(lens.lenstronomy()),
        "pyautolens" => Ok(lens.pyautolens()),
        _ => Err(format!("'{format}': expected {}", NAMES.join(", "))),
    }
}

impl LensParameters {
    /// From an answer in the units of the catalogue, for a stamp of so many pixels and arcseconds a
    /// pixel.
    pub fn of(values: &[f32], pixels: (usize, usize), scale: f64) -> LensParameters {
        let p = Posterior::of(values, OUTPUTS.len());
        let each = |j: usize| [p.mean(j), p.sigma(j)];
        LensParameters::of_columns(&each, pixels, scale)
    }

    /// From (mean, error) of each of [`OUTPUTS`] as a catalogue has them.
    pub fn of_columns(
        each: &dyn Fn(usize) -> [f64; 2],
        (height, width): (usize, usize),
        scale: f64,
    ) -> LensParameters {
        let [log, error] = each(0);
        let theta = 10f64.powf(log) * scale;
        let from_middle = |j: usize, n: usize| {
            let middle = 0.5 * (n as f64 - 1.0);
            let [mean, error] = each(j);
            [(mean - middle) * scale, error * scale]
        };
        LensParameters {
            theta_e: [theta, theta * std::f64::consts::LN_10 * error],
            e: [each(1), each(2)],
            centre: [from_middle(3, width), from_middle(4, height)],
            shear: [each(5), each(6)],
        }
    }

    /// lenstronomy's `kwargs_lens` for the models SIE and SHEAR.
    pub fn lenstronomy(&self) -> Value {
        json!([
            {
                "theta_E": self.theta_e[0],
                "e1": self.e[0][0],
                "e2": self.e[1][0],
                "center_x": self.centre[0][0],
                "center_y": self.centre[1][0],
            },
            {"gamma1": self.shear[0][0], "gamma2": self.shear[1][0], "ra_0": 0, "dec_0": 0},
        ])
    }

    /// PyAutoLens' `Isothermal` and `ExternalShear`: (y, x), elliptical components (e₂, e₁), and an
    /// Einstein radius of theirs: ours is 2 √q / (1 + q) of it.
    pub fn pyautolens(&self) -> Value {
        let [q, _] = axes([self.e[0][0], self.e[1][0]]);
        json!({
            "mass": {
                "centre": [self.centre[1][0], self.centre[0][0]],
                "ell_comps": [self.e[1][0], self.e[0][0]],
                "einstein_radius": self.theta_e[0] * (1.0 + q) / (2.0 * q.sqrt()),
            },
            "shear": {"gamma_1": self.shear[0][0], "gamma_2": self.shear[1][0]},
        })
    }

    /// A COOLEST template with this lens: axis ratio and position angle (degrees east of north, −90
    /// to 90, where north is +y and east −x), shear by strength and direction.
    pub fn coolest(&self, name: &str, pixels: (usize, usize), scale: f64) -> Value {
        let [q, angle] = axes([self.e[0][0], self.e[1][0]]);
        let size = self.e[0][0].hypot(self.e[1][0]).max(1e-9);
        // σ of |e| and of the angle along and across the ellipticity.
        let [s1, s2] = [self.e[0][1], self.e[1][1]];
        let (c, s) = (self.e[0][0] / size, self.e[1][0] / size);
        let along = (c * s1).hypot(s * s2);
        let across = (s * s1).hypot(c * s2);
        let q_error = 2.0 / (1.0 + size).powi(2) * along;
        let gamma = self.shear[0][0].hypot(self.shear[1][0]);
        let direction = 0.5 * self.shear[1][0].atan2(self.shear[0][0]);
        let point = |v: f64, e: f64| {
            json!({
                "point_estimate": {"value": v},
                "posterior_stats": {
                    "mean": v,
                    "median": v,
                    "percentile_16th": v - e,
                    "percentile_84th": v + e,
                },
            })
        };
        let of_north = |a: f64| {
            let from_north = a.to_degrees() - 90.0;
            (from_north + 90.0).rem_euclid(180.0) - 90.0
        };
        let half = |n: usize| 0.5 * n as f64 * scale;
        json!({
            "standard": "COOLEST",
            "mode": "MAP",
            "meta": {"object": name, "written_by": "slipher"},
            "lensing_entities": [
                {
                    "type": "Galaxy",
                    "name": "lens",
                    "mass_model": [{
                        "type": "SIE",
                        "parameters": {
                            "theta_E": point(self.theta_e[0], self.theta_e[1]),
                            "q": point(q, q_error),
                            "phi": point(of_north(angle), (0.5 * across / size).to_degrees()),
                            "center_x": point(self.centre[0][0], self.centre[0][1]),
                            "center_y": point(self.centre[1][0], self.centre[1][1]),
                        },
                    }],
                    "light_model": [],
                },
                {
                    "type": "MassField",
                    "name": "external shear",
                    "mass_model": [{
                        "type": "ExternalShear",
                        "parameters": {
                            "gamma_ext": point(gamma, self.shear[0][1].hypot(self.shear[1][1])),
                            "phi_ext": point(of_north(direction), 0.0),
                        },
                    }],
                },
            ],
            "observation": {
                "pixels": {
                    "field_of_view_x": [-half(pixels.1), half(pixels.1)],
                    "field_of_view_y": [-half(pixels.0), half(pixels.0)],
                    "num_pix_x": pixels.1,
                    "num_pix_y": pixels.0,
                },
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lens() -> LensParameters {
        let mut values = vec![
            1.0f32,
            1.2f32.log10(),
            0.125,
            0.216_506,
            40.0,
            39.0,
            0.03,
            -0.02,
        ];
        values.extend([0.0, 0.0, 0.0, 0.0]);
        values.extend(vec![0.0; 66]);
        for k in 0..11 {
            values[12 + k * (k + 3) / 2] = 0.01;
        }
        LensParameters::of(&values, (80, 80), 1.0)
    }

    /// q = 0.6 at 30°: PyAutoLens' radius by its published ratio, COOLEST's angle from north.
    #[test]
    fn conventions() {
        let l = lens();
        let p = l.pyautolens();
        let ratio = l.theta_e[0] / p["mass"]["einstein_radius"].as_f64().unwrap();
        assert!((ratio - 0.968).abs() < 1e-3, "{ratio}");
        assert_eq!(p["mass"]["ell_comps"][1].as_f64().unwrap(), l.e[0][0]);
        let c = l.coolest("a", (80, 80), 1.0);
        let mass = &c["lensing_entities"][0]["mass_model"][0]["parameters"];
        let value = |k: &str| mass[k]["point_estimate"]["value"].as_f64().unwrap();
        assert!((value("q") - 0.6).abs() < 1e-4 && (value("phi") + 60.0).abs() < 1e-2);
        assert!((value("center_x") - 0.5).abs() < 1e-6 && (value("center_y") + 0.5).abs() < 1e-6);
        let k = l.lenstronomy();
        assert!((k[1]["gamma2"].as_f64().unwrap() + 0.02).abs() < 1e-6);
    }
}
