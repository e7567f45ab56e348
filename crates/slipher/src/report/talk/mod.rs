//! The page of `slipher reproduce redshift-talk`: the talk's figures and tables, ours beside them.

mod figures;
mod tables;

use std::fmt::Write;
use std::path::Path;

use slipher_data::atomic::atomic_write;
use slipher_systems::studies::stivaktakis2018::simulate::Setting;
use slipher_systems::studies::stivaktakis2018::study::{
    Cell, Finished, Kind, LADDER, Scale, Study, Tested, short,
};

use super::STYLE;
use super::figure::{LIVE, escape};

/// All that is finished.
pub struct Page<'a> {
    study: &'a Study,
    done: Vec<(Cell, Finished)>,
    open: Vec<String>,
}

impl Page<'_> {
    fn get(&self, name: &str) -> Option<&Finished> {
        self.done.iter().find(|(c, _)| c.name == name).map(|d| &d.1)
    }
    fn cell(&self, name: &str) -> Option<&Cell> {
        self.done.iter().find(|(c, _)| c.name == name).map(|d| &d.0)
    }
    /// Names of the runs that the talk speaks of.
    fn name(&self, network: &str, n: u64) -> String {
        format!("{network}-{}", short(n))
    }
}

/// Result on a test set.
fn tested<'a>(f: &'a Finished, key: &str) -> Option<&'a Tested> {
    f.tests.iter().find(|t| t.key == key)
}

/// Writes the page and the numbers of all finished cells, atomically.
pub fn write(study: &Study, path: &Path) -> std::io::Result<()> {
    let (mut done, mut open) = (Vec::new(), Vec::new());
    for c in study.cells() {
        match study.finished(&c) {
            Some(f) => done.push((c, f)),
            None => open.push(c.title),
        }
    }
    let page = Page { study, done, open };
    atomic_write(
        &path.with_file_name("numbers.json"),
        &numbers(&page).map_err(std::io::Error::other)?,
    )?;
    atomic_write(path, html(&page))
}

/// All cells, a line each, without the curves of purity, which are long and drawn on the page.
fn numbers(p: &Page) -> serde_json::Result<String> {
    let line = |f: &Finished| {
        let tests = f
            .tests
            .iter()
            .map(|t| Tested {
                purity: vec![],
                ..t.clone()
            })
            .collect();
        serde_json::to_string(&Finished { tests, ..f.clone() })
    };
    let lines: Vec<String> = p
        .done
        .iter()
        .map(|d| line(&d.1))
        .collect::<serde_json::Result<_>>()?;
    Ok(format!("[\n{}\n]\n", lines.join(",\n")))
}

fn html(p: &Page) -> String {
    let title = "Redshift as one of 800 classes: the talk, reproduced and surpassed";
    let mut h = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{STYLE}details{{margin:.6em 0}}td,th{{padding:3px 7px;font-size:12px}}td:not(:first-child){{white-space:nowrap}}.small td,.small th{{padding:2px 7px;font-size:12px}}.wide{{overflow-x:auto}}</style></head><body><h1>{title}</h1>"
    );
    h.push_str(&introduction(p));
    if !p.open.is_empty() {
        let _ = write!(
            h,
            "<p class=\"note\">Not finished yet: {}.</p>",
            escape(&p.open.join("; "))
        );
    }
    h.push_str(&tables::findings(p));
    h.push_str("<h2>The data</h2>");
    h.push_str(&figures::spectra(p.study));
    h.push_str(&talk(p));
    h.push_str(&beyond(p));
    h.push_str(&tables::everything(p));
    h.push_str(&made(p));
    h + LIVE + "</body></html>"
}

fn introduction(p: &Page) -> String {
    let s = p.study.scale.sizes();
    format!(
        "<p>G. Tsagkatakis' talk <i>Deep Learning Applications in Astrophysics</i> (2018) and Stivaktakis et al. (arXiv:1809.09622) estimate the redshift of Euclid-like \
         spectra with a convolutional network that chooses one of 800 classes. This page runs their experiments again, and beside them a network that knows that a redshift \
         is a shift. {} rest-frame SEDs (emission-line galaxies: built-in stellar populations, dust, nebular lines), split by SED into training, validation and test; redshifts uniform and \
         continuous in 1 ≤ z &lt; 1.8, classes of Δz = 0.001, 1780 bins from 11000 to 20000 Å (5.06 Å), white noise. Every method is tested on the same {} spectra of SEDs that none of them saw. \
         S/N is the median flux over σ, per bin. Intervals are 95 %, widened because copies of one SED are not independent. The talk and the paper show their accuracies in \
         figures only; the one number that the authors published with their code has its own section.</p>",
        s.seds, s.test
    )
}

/// The talk's own figures.
fn talk(p: &Page) -> String {
    let s = p.study.scale.sizes();
    let mut h = String::from("<h2>Data: how many examples</h2><div class=\"pair\">");
    h.push_str(&figures::curves(
        p,
        &[(&p.name("paper3-clean", s.few), "few"), (&p.name("paper3-clean", s.many), "many")],
        "The talk's question: clean spectra, three convolutions. Solid: validation (unseen SEDs); dashed: training. The gap closes with data.",
    ));
    h.push_str(&figures::curves(
        p,
        &[
            (&p.name("paper1-clean", s.many), "1 convolution"),
            (&p.name("paper3-clean", s.many), "3 convolutions"),
        ],
        "Architecture: one convolution against three, clean spectra.",
    ));
    h.push_str("</div>");
    h.push_str("<h2>Noise: true against predicted redshift</h2><div class=\"pair\">");
    for (network, n, key, title) in [
        ("paper3-clean", s.many, "clean", "authors' network, clean"),
        ("paper3-noisy", s.many, "snr-1", "authors' network, S/N 1"),
        ("paper3-noisy", s.most, "snr-1", "authors' network, S/N 1"),
        ("shift-noisy", s.few, "snr-1", "shift-equivariant, S/N 1"),
    ] {
        let name = p.name(network, n);
        if let Some(c) = p.cell(&name) {
            h.push_str(&figures::scatter(
                p,
                c,
                key,
                &format!("{title}, {} examples", short(n)),
            ));
        }
    }
    h.push_str("</div><h2>Against the classical methods</h2>");
    h.push_str(&tables::comparison(p));
    h.push_str("<h2>Losses and optimisers</h2>");
    h.push_str(&tables::variants(p));
    h
}

/// What the talk lacks.
fn beyond(p: &Page) -> String {
    let mut h = String::from("<h2>How many examples does a network need?</h2><div class=\"pair\">");
    h.push_str(&figures::examples(p, "snr-0.7"));
    h.push_str(&figures::examples(p, "snr-1"));
    h.push_str("</div>");
    h.push_str(&tables::factor(p));
    h.push_str("<h2>Accuracy against S/N</h2><div class=\"pair\">");
    h.push_str(&figures::ladder(p, true));
    h.push_str(&figures::ladder(p, false));
    h.push_str("</div>");
    h.push_str("<h2>Calibration of the probabilities</h2><div class=\"pair\">");
    h.push_str(&figures::reliability(p));
    h.push_str(&figures::purity(p));
    h.push_str("</div>");
    h.push_str(&tables::calibration(p));
    h.push_str("<h2>Lines taken for other lines</h2>");
    h.push_str(&tables::confusions(p));
    h.push_str("<h2>As the instrument is: NISP's red grism</h2>");
    h.push_str(&tables::nisp(p));
    if p.study.other.is_some() {
        h.push_str("<h2>SEDs of another library</h2>");
        h.push_str(&tables::other(p));
    }
    h.push_str("<h2>What a split by copy would have gained</h2>");
    h.push_str(&tables::leak(p));
    h
}

fn made(p: &Page) -> String {
    let scale = if p.study.scale == Scale::Paper {
        "paper"
    } else {
        "small"
    };
    format!(
        "<h2>How this was made</h2><p>Slipher {}: <code>slipher reproduce redshift-talk --scale {scale} --seed {}</code>. All numbers, settings and searches are in <code>numbers.json</code>. \
         Noisy training sets have S/N log-uniform from {} to {}; test sets have one S/N each ({}), the same spectra and the same noise, scaled. \
         The authors' network is that of their released notebook (ADAX-datathon): convolutions of 16 filters of 8, ReLU, pooling 3/2, batch normalisation, dropout 0.5, 512 linear units, dropout 0.5, \
         800 classes; Adam 10⁻³ falling as a cosine, batches of 128. Curves are measured without dropout.</p>",
        env!("CARGO_PKG_VERSION"),
        p.study.seed,
        slipher_systems::studies::stivaktakis2018::study::TRAINED.0,
        slipher_systems::studies::stivaktakis2018::study::TRAINED.1,
        LADDER.map(|s| s.to_string()).join(", ")
    )
}

/// Cells on one setting.
fn on<'a>(p: &'a Page<'a>, setting: Setting) -> impl Iterator<Item = &'a Finished> {
    p.done
        .iter()
        .filter(move |(c, _)| match &c.kind {
            Kind::Train(p) => p.setting == setting,
            Kind::Classical { setting: s, .. } => *s == setting,
        })
        .map(|d| &d.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use slipher_systems::studies::stivaktakis2018::study::StudyPools;

    /// A page of a few finished cells is whole, balanced and free of numbers that are none.
    #[test]
    fn a_page_is_made_of_what_is_finished() {
        let dir = std::env::temp_dir().join(format!("slipher-talk-{}", std::process::id()));
        let study = Study {
            scale: Scale::Tiny,
            seed: 1,
            other: None,
            folder: dir.clone(),
        };
        let mut pools = StudyPools::default();
        let path = dir.join("index.html");
        study.claim().unwrap();
        write(&study, &path).unwrap();
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .contains("Not finished yet")
        );
        for c in study.cells().iter().filter(|c| {
            ["shift-noisy-32", "paper3-noisy-256", "pca-knn-noisy"].contains(&c.name.as_str())
        }) {
            assert!(study.run(c, &mut pools, &mut |_| true).unwrap());
        }
        write(&study, &path).unwrap();
        let page = std::fs::read_to_string(&path).unwrap();
        for tag in ["table", "div", "figure", "svg", "ul", "tr", "details"] {
            assert_eq!(
                page.matches(&format!("<{tag}")).count(),
                page.matches(&format!("</{tag}>")).count(),
                "{tag}"
            );
        }
        assert!(
            page.contains("shift-equivariant, noisy 32")
                && page.contains("k nearest neighbours")
                && !page.contains("NaN")
        );
        let numbers: Vec<Finished> =
            serde_json::from_str(&std::fs::read_to_string(dir.join("numbers.json")).unwrap())
                .unwrap();
        assert_eq!(numbers.len(), 3);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
