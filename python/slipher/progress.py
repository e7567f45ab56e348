"""A progress bar: tqdm's where it is installed (also in notebooks), else a line on the screen."""

import sys
import time


class Progress:
    """Counts spectra. ``show`` None means: where somebody is likely to look, and the work takes more than a moment."""

    def __init__(self, total, show):
        notebook = "ipykernel" in sys.modules
        self.show = (total > 2000 and (notebook or sys.stderr.isatty())) if show is None else bool(show)
        self.total, self.done, self.start, self.bar = total, 0, time.monotonic(), None

    def __enter__(self):
        if self.show:
            try:
                from tqdm.auto import tqdm

                self.bar = tqdm(total=self.total, unit=" spectra")
            except ImportError:
                pass
        return self

    def add(self, rows):
        self.done += rows
        if self.bar is not None:
            self.bar.update(rows)
        elif self.show:
            rate = self.done / max(time.monotonic() - self.start, 1e-9)
            print(f"\r{self.done} of {self.total} spectra, {rate:.0f} a second", end="", file=sys.stderr, flush=True)

    def __exit__(self, *_):
        if self.bar is not None:
            self.bar.close()
        elif self.show:
            print(file=sys.stderr)
