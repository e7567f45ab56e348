"""From a folder of spectra to a figure for a paper.

python docs/examples/folder_to_figure.py FOLDER [FIGURE.pdf]      # without a folder: simulated spectra

Needs the wheel of slipher, astropy and matplotlib.
"""

import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import matplotlib.ticker
import numpy as np
import pyarrow as pa

import slipher


def spectra_of(folder):
    """All spectra below a folder; files that are none are named and left out."""
    tables = []
    for path in sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file()):
        try:
            tables.append(slipher.read(path))
        except ValueError as why:
            print(f"left out: {why}", file=sys.stderr)
    return pa.concat_tables(tables)


def figure(spectra, found, path):
    accepted, z = found["accepted"] == 1, found["z"]
    fig, (a, b, c) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")

    bins = np.geomspace(0.01, max(np.nanmax(z, initial=1.0), 1.0), 30)
    for name, colour in [("GALAXY", "#4477aa"), ("QSO", "#ee6677"), ("STAR", "#ccbb44")]:
        some = z[accepted & (found["spectype"] == name)]
        a.hist(np.clip(some, bins[0], bins[-1]), bins, histtype="step", color=colour, label=f"{name.title()}, {len(some)}")
    a.set(xscale="log", xlabel="$z$", ylabel="accepted spectra")
    a.legend(frameon=False)

    # Redshifts that the files or the simulation give, where they do, against ours.
    if "z_in" in found.columns:
        truth = found["z_in"]
        for some, style, label in [(accepted, dict(c="#4477aa"), "accepted"), (~accepted, dict(c="0.7", zorder=0), "no redshift (best guess)")]:
            b.scatter(1 + truth[some], 1 + z[some], s=6, label=label, **style)
        b.plot([1, 8], [1, 8], lw=0.5, c="k")
        right = np.abs(z - truth) < 0.0033 * (1 + truth)
        n = int(np.isfinite(truth[accepted]).sum())
        b.set(xscale="log", yscale="log", xlabel="$1+z$ given", ylabel="$1+z$ measured", title=f"{right[accepted].sum()} of {n} accepted agree", xlim=(0.95, 8), ylim=(0.95, 8))
        for axis in (b.xaxis, b.yaxis):
            axis.set_major_locator(matplotlib.ticker.FixedLocator([1, 1.5, 2, 3, 4, 6, 8]))
            axis.set_major_formatter("{x:g}")
            axis.set_minor_locator(matplotlib.ticker.NullLocator())
        b.legend(frameon=False)

    best = int(np.nanargmax(np.where(accepted, found["snr_med"], -1)))
    row = spectra.slice(best, 1).to_pylist()[0]
    wave, flux, ivar = (np.asarray(row[k], float) for k in ("wave", "flux", "ivar"))
    good = ivar > 0
    c.plot(wave[good], flux[good], lw=0.4, c="k")
    for name, rest in [(r"H$\alpha$", 6564.6), (r"H$\beta$", 4862.7), ("[O III]", 5008.2), ("[O II]", 3728.5), ("Ca K", 3934.8), ("Mg II", 2799.1), (r"Ly$\alpha$", 1215.7)]:
        at = rest * (1 + z[best])
        if wave[good][0] < at < wave[good][-1]:
            c.axvline(at, lw=0.5, c="#ee6677")
            c.text(at, c.get_ylim()[1], name, rotation=90, va="top", ha="right", fontsize=7)
    c.set(xlabel=r"wavelength in vacuum [$\mathrm{\AA}$]", ylabel="flux density", title=f"{found['spectype'][best].title()}, $z$ = {z[best]:.4f}, $p$ = {found['p_correct'][best]:.3f}")
    fig.savefig(path, dpi=150)


def main():
    spectra = spectra_of(sys.argv[1]) if len(sys.argv) > 1 else slipher.simulate(500, ["sdss", "boss"], seed=2)
    found = slipher.redshift(spectra)
    path = sys.argv[2] if len(sys.argv) > 2 else "figure.png"
    figure(spectra, found, path)
    print(f"{len(found)} spectra, {int((found['accepted'] == 1).sum())} accepted; wrote {path}")
    return found


if __name__ == "__main__":
    main()
