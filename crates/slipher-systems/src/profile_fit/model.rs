//! Components and their image, with derivatives by every parameter.

use slipher_data::cutout::Cutout;
use slipher_sim::sky::Plane;
use slipher_sim::sky::exact::Exact;
use slipher_sim::sky::sersic::Sersic;

use super::convolve::Kernel;

/// A component. Positions are pixels from (0, 0), fluxes in the image's unit.
#[derive(Clone, Debug, PartialEq)]
pub enum Component {
    /// Sérsic's profile: x, y, ln flux, ln re, ln n, ln q, angle.
    Sersic(Sersic),
    /// A point source: x, y, ln flux.
    Point {
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// Total.
        flux: f64,
    },
    /// Sky in the middle of the region, and its slopes along x and y.
    Sky([f64; 3]),
}

impl Component {
    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        match self {
            Component::Sersic(_) => 7,
            Component::Point { .. } | Component::Sky(_) => 3,
        }
    }

    /// Values of the parameters, as a fit moves them.
    pub fn values(&self) -> Vec<f64> {
        match self {
            Component::Sersic(s) => vec![
                s.x,
                s.y,
                s.flux.max(1e-300).ln(),
                s.re.ln(),
                s.n.ln(),
                s.q.ln(),
                s.angle,
            ],
            Component::Point { x, y, flux } => vec![*x, *y, flux.max(1e-300).ln()],
            Component::Sky(v) => v.to_vec(),
        }
    }

    /// The component of these values.
    pub fn with(&self, v: &[f64]) -> Component {
        match (self, v) {
            (Component::Sersic(_), [x, y, flux, re, n, q, angle]) => Component::Sersic(Sersic {
                flux: flux.exp(),
                re: re.exp(),
                n: n.exp(),
                q: q.exp(),
                angle: *angle,
                x: *x,
                y: *y,
            }),
            (Component::Point { .. }, [x, y, flux]) => Component::Point {
                x: *x,
                y: *y,
                flux: flux.exp(),
            },
            (Component::Sky(_), [a, b, c]) => Component::Sky([*a, *b, *c]),
            _ => self.clone(),
        }
    }
}

/// What a telescope does to light: a point-spread function on pixels `fine` times as fine.
pub struct Optics {
    /// As measured.
    pub psf: Plane,
    /// Its pixels along one of the image.
    pub fine: usize,
    /// It is a star as the detector sees it, the pixel in it; profiles that are integrated over
    /// pixels take it without.
    pub effective: bool,
}

/// The point-spread function of a cutout, as fits take it.
pub fn optics(c: &Cutout) -> Option<Optics> {
    let (height, width, data) = c.psf.clone();
    let whole = data.len() == height * width && data.iter().all(|v| v.is_finite());
    let light: f64 = data.iter().map(|v| f64::from(*v)).sum();
    (whole && light > 0.0).then_some(Optics {
        psf: Plane {
            height,
            width,
            data,
        },
        fine: 1,
        effective: !c.optical_psf,
    })
}

/// Full width at half maximum, from the area above half the peak.
pub fn width(psf: &Plane) -> f64 {
    let peak = psf.data.iter().copied().fold(0.0, f32::max);
    let above = psf.data.iter().filter(|v| **v > 0.5 * peak).count();
    2.0 * (above as f64 / std::f64::consts::PI).sqrt()
}

/// Height and width of the region.
pub type Size = (usize, usize);

/// A way from parameters to pixels.
pub struct Renderer {
    size: Size,
    fine: usize,
    kernel: Option<Kernel>,
    /// Profiles are good to 10⁻³ of a pixel, and not better.
    pub quick: bool,
}

impl Renderer {
    /// For a region; without optics light stays where it is.
    pub fn new(size: Size, optics: Option<&Optics>) -> Renderer {
        let fine = optics.map_or(1, |o| o.fine.max(1));
        Renderer {
            size,
            fine,
            quick: false,
            kernel: optics.map(|o| {
                let k = Kernel::new(&o.psf, fine * size.0, fine * size.1);
                if o.effective { k.without_pixel() } else { k }
            }),
        }
    }

    /// Planes of a component: its image, then the derivatives by its parameters.
    pub fn jets(&self, c: &Component) -> Vec<Vec<f64>> {
        let (h, w) = self.size;
        match c {
            Component::Sky([level, by_x, by_y]) => {
                let (mx, my) = (0.5 * (w as f64 - 1.0), 0.5 * (h as f64 - 1.0));
                let x: Vec<f64> = (0..h * w).map(|i| (i % w) as f64 - mx).collect();
                let y: Vec<f64> = (0..h * w).map(|i| (i / w) as f64 - my).collect();
                let image = x.iter().zip(&y).map(|(x, y)| level + by_x * x + by_y * y);
                vec![image.collect(), vec![1.0; h * w], x, y]
            }
            Component::Sersic(s) => {
                let s = s.finer(self.fine as f64);
                let exact = Exact::of(&s);
                let exact = if self.quick { exact.quick() } else { exact };
                let jets = exact.jets(self.fine * h, self.fine * w);
                let mut planes: Vec<Vec<f64>> = (0..8)
                    .map(|k| jets.iter().map(|j| j[k]).collect())
                    .collect();
                self.seen(&mut planes);
                self.scaled(planes)
            }
            Component::Point { x, y, flux } => self.point([*x, *y], *flux),
        }
    }

    /// A Gaussian far narrower than a pixel stands for a point, so that its place has derivatives.
    fn point(&self, [x, y]: [f64; 2], flux: f64) -> Vec<Vec<f64>> {
        let dot = Sersic {
            flux,
            re: 0.12 / self.fine as f64,
            n: 0.5,
            q: 1.0,
            angle: 0.0,
            x,
            y,
        };
        let mut planes = self.jets(&Component::Sersic(dot));
        planes.truncate(4);
        planes
    }

    /// Through the telescope and onto the pixels.
    fn seen(&self, planes: &mut [Vec<f64>]) {
        let (h, w) = (self.fine * self.size.0, self.fine * self.size.1);
        if let Some(k) = &self.kernel {
            k.through(planes, h, w);
        }
        if self.fine > 1 {
            for p in planes {
                let mut out = vec![0.0; self.size.0 * self.size.1];
                for (i, v) in p.iter().enumerate() {
                    out[i / w / self.fine * self.size.1 + i % w / self.fine] += v;
                }
                *p = out;
            }
        }
    }

    /// Derivatives by places on fine pixels are those by places on the image's over `fine`.
    fn scaled(&self, mut planes: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        let k = self.fine as f64;
        for p in &mut planes[1..3] {
            p.iter_mut().for_each(|v| *v *= k);
        }
        planes
    }

    /// The image of all components.
    pub fn image(&self, components: &[Component]) -> Vec<f64> {
        let mut out = vec![0.0; self.size.0 * self.size.1];
        for c in components {
            let own = self.jets(c).swap_remove(0);
            out.iter_mut().zip(own).for_each(|(o, v)| *o += v);
        }
        out
    }
}
