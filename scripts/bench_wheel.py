"""Throughput of the wheel beside the program's, and its memory: cargo xtask bench wheel.

usage: python bench_wheel.py PATH_TO_SLIPHER TIMED_SPECTRA ROUNDS SPECTRA_IN_MEMORY

Prints "wheel SECONDS", "program SECONDS" in turns (reading and writing Parquet, start of the process included), then "spectra BYTES",
"answer BYTES" and "growth BYTES": how much more memory than before was resident at most during one call on SPECTRA_IN_MEMORY of them.
"""
import os
import subprocess
import sys
import tempfile
import time

WHOLE = """
import sys, pyarrow.parquet as pq, slipher
slipher.redshift(pq.read_table(sys.argv[1]), progress=False).write(sys.argv[2])
"""

MEMORY = """
import sys, pyarrow as pa, pyarrow.parquet as pq, slipher
table = pq.read_table(sys.argv[1])
slipher.redshift(table.slice(0, 4096), progress=False)
def resident(field):
    return 1024 * int([l for l in open("/proc/self/status") if l.startswith(field)][0].split()[1])
open("/proc/self/clear_refs", "w").write("5")
before = resident("VmRSS")
found = slipher.redshift(table, progress=False).arrow
print("spectra", table.nbytes)
print("answer", found.nbytes)
print("growth", resident("VmHWM") - before)
"""


def timed(*command):
    start = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main():
    program, n, rounds, many = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
    with tempfile.TemporaryDirectory() as folder:
        sky, out = os.path.join(folder, "sky.parquet"), os.path.join(folder, "z.parquet")
        simulate = lambda n: subprocess.run([program, "simulate", "redshift", "-n", n, "-i", "euclid-red", "-s", "4", "-o", sky, "-q", "--overwrite"], check=True)
        simulate(n)
        for _ in range(rounds):
            print("program", timed(program, "redshift", sky, "-o", out, "-q", "--overwrite"))
            print("wheel", timed(sys.executable, "-c", WHOLE, sky, out))
        simulate(many)
        print(subprocess.run([sys.executable, "-c", MEMORY, sky], check=True, capture_output=True, text=True).stdout, end="")


if __name__ == "__main__":
    main()
