"""Redshifts beyond one process: HATS catalogues on Dask (LSDB), the Spark API (Sail), Ray and shards of the program, each started for real on this
machine, each with a worker killed in the middle; all give the rows that one process gives.

usage: python engines.py PATH_TO_SLIPHER [lsdb|sail|ray|shards …]
"""
import glob
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

program = sys.argv[1]
parts = sys.argv[2:] or ["shards", "lsdb", "sail", "ray"]
N = 480


def run(*args):
    p = subprocess.run([program, *map(str, args), "-q"], capture_output=True, text=True)
    assert p.returncode == 0, (args, p.returncode, p.stderr)


def slow(work, seconds=0.4):
    """The same function, slowly: there must be a middle in which to kill."""

    def function(*args, **kwargs):
        time.sleep(seconds)
        return work(*args, **kwargs)

    return function


def compare(name, table, truth):
    table, truth = (t.sort_by("object_id") for t in (pa.table(table), truth))
    ids = table["object_id"].to_pylist()
    assert len(ids) == len(set(ids)) == truth.num_rows, (name, len(ids), len(set(ids)), truth.num_rows)
    assert ids == truth["object_id"].to_pylist(), name
    # pandas and Spark forget what fields say of themselves: that the medium is assumed then is right.
    forgotten = {"warnings"}
    compared = [f.name for f in truth.schema if f.name in table.column_names and not pa.types.is_nested(f.type) and f.name not in forgotten]
    assert len(compared) > 25, (name, compared)
    for c in compared:
        a, b = (bits(t[c].combine_chunks()) for t in (table, truth))
        assert a.cast(b.type).equals(b), (name, c, [(x, y) for x, y in zip(a.to_pylist(), b.to_pylist()) if x != y][:3])


def bits(column):
    """Floats by their bits: NaN is itself."""
    width = {pa.float32(): pa.int32(), pa.float64(): pa.int64()}.get(column.type)
    return column if width is None else column.fill_null(float("nan")).view(width)


def kill(pids, why):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
            print(f"       killed {pid} ({why})", flush=True)
            return True
        except ProcessLookupError:
            continue
    return False


def shards(sky, truth, folder):
    """Three shards as processes of their own, one of them killed and run again."""
    out = os.path.join(folder, "shards")
    whole = os.path.join(folder, "whole")

    def shard(i, *more):
        return subprocess.Popen([program, "redshift", sky, "-o", out, "--shard", f"{i}/3", "--resume", "-q", "-j", "1", *more], stderr=subprocess.PIPE)

    some = [shard(1), shard(2), shard(3)]
    while not glob.glob(f"{out}/dataset/**/Npix=*.parquet", recursive=True):
        time.sleep(0.01)
    kill([some[0].pid], "a shard")
    assert [p.wait() for p in some[1:]] == [0, 0]
    assert some[0].wait() == -signal.SIGKILL and not os.path.exists(f"{out}/hats.properties"), "the catalogue is called whole without a part"
    assert shard(1).wait() == 0
    names = lambda d: sorted(os.path.relpath(f, d) for f in glob.glob(f"{d}/**/*", recursive=True) if os.path.isfile(f))
    # Names of the catalogues differ in the properties, nothing else does.
    read = lambda d, f: open(f"{d}/{f}", "rb").read().replace(os.path.basename(d).encode(), b"NAME")
    assert names(out) == names(whole), set(names(out)) ^ set(names(whole))
    assert all(read(out, f) == read(whole, f) for f in names(out)), [f for f in names(out) if read(out, f) != read(whole, f)]
    left = glob.glob(f"{out}/**/.*.tmp", recursive=True)
    assert not left, left
    return pq.read_table(sorted(glob.glob(f"{out}/dataset/Norder*/**/*.parquet", recursive=True)))


def lsdb(sky, truth, folder):
    import dask
    import lsdb as lsdb_
    from dask.distributed import Client, LocalCluster

    import slipher.lsdb

    model = slipher.Model()
    # The program's own catalogue opens in LSDB.
    ours = lsdb_.open_catalog(os.path.join(folder, "whole"))
    assert len(ours.compute()) == N and ours.hc_structure.catalog_info.total_rows == N
    dask.config.set({"distributed.scheduler.allowed-failures": 10})
    with LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster, Client(cluster) as client:
        catalog = lsdb_.open_catalog(sky)
        out = os.path.join(folder, "lsdb")
        meta = slipher.lsdb.meta(catalog, model)
        lazy = catalog.map_partitions(slow(slipher.lsdb.partition), model=model, meta=meta)
        pids = list(client.run(os.getpid).values())
        killer = threading.Timer(3.0, kill, [pids, "a Dask worker"])
        killer.start()
        lazy.write_catalog(out, catalog_name="z", overwrite=True)
        killer.join()
        assert any(not psutil.pid_exists(p) for p in pids), "no worker was killed"
        back = lsdb_.open_catalog(out).compute()
        plain = slipher.lsdb.redshift(catalog, model).partitions[0].compute()
        assert len(plain) > 0 and "z" in plain.columns
        # Spectra in one nested column, as LSDB likes them.
        nested = catalog.nest_lists(list_columns=["wave", "flux", "ivar"], name="spectrum")
        same = slipher.lsdb.redshift(nested, model).partitions[0].compute()
        assert same["z"].tolist() == plain["z"].tolist() and same["p_correct"].tolist() == plain["p_correct"].tolist()
    assert back.index.name == "_healpix_29"
    return pa.Table.from_pandas(back, preserve_index=False)


def sail(sky, truth, folder):
    from pyspark.sql import SparkSession

    import slipher.spark

    out = os.path.join(folder, "sail")
    files = sorted(glob.glob(f"{sky}/dataset/Norder*/**/*.parquet", recursive=True))

    def session():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        command = [sys.executable, "-c", f"from pysail.spark import SparkConnectServer as S; s = S('127.0.0.1', {port}); s.start(background=False)"]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None, "Sail did not start"
                time.sleep(0.2)
        spark = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").create()
        # A dead server stays dead: no minutes of trying again.
        spark.client.set_retry_policies([])
        return server, spark

    def job(spark, work):
        frame = spark.read.parquet(*files).drop("_healpix_29")
        model = slipher.Model()
        return frame.mapInArrow(work(slipher.spark.batches(model)), slipher.spark.schema(frame, model))

    def sleepy(work):
        def function(batches):
            for b in work(batches):
                time.sleep(1.0)
                yield b

        return function

    # Sail's workers live in its server: it is killed, started again, and the job is run again.
    server, spark = session()
    killer = threading.Timer(4.0, kill, [[server.pid], "the Sail server"])
    killer.start()
    try:
        job(spark, sleepy).write.mode("overwrite").parquet(out)
        raise AssertionError("the job ended before it was killed")
    except Exception as e:
        assert not isinstance(e, AssertionError), e
    killer.join()
    server.wait()
    server, spark = session()
    try:
        job(spark, lambda f: f).write.mode("overwrite").parquet(out)
        plain = slipher.spark.redshift(spark.read.parquet(files[0]).drop("_healpix_29")).toArrow()
        assert plain.num_rows > 0 and plain["solutions"][0].as_py()[0]["z"] is not None
    finally:
        server.terminate()
        server.wait()
    return pq.read_table(sorted(glob.glob(f"{out}/*.parquet")))


def words(process):
    """The command line of a process, which may be gone by now."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def ray(sky, truth, folder):
    import ray as ray_

    import slipher.ray

    # Ray gives its own processes little time to start; on a busy machine they need a second try.
    for last in (False, False, True):
        try:
            ray_.init(num_cpus=4, include_dashboard=False, log_to_driver=False, _temp_dir=os.path.join(folder, "r"), object_store_memory=300 << 20)
            break
        except Exception:
            ray_.shutdown()
            if last:
                raise
    try:
        ray_.data.DataContext.get_current().enable_progress_bars = False

        class Slow(slipher.ray.Predictor):
            def __call__(self, table):
                time.sleep(0.5)
                return super().__call__(table)

        files = sorted(glob.glob(f"{sky}/dataset/Norder*/**/*.parquet", recursive=True))
        data = ray_.data.read_parquet(files).drop_columns(["_healpix_29"])
        killed = []

        def killer():
            for _ in range(600):
                time.sleep(0.1)
                actors = [p for p in psutil.Process().children(recursive=True) if "MapWorker" in words(p)]
                actors += [p for p in psutil.process_iter(["cmdline"]) if "MapBatches(Slow)" in " ".join(p.info["cmdline"] or [])]
                if actors:
                    time.sleep(2.0)
                    if kill([actors[0].pid], "a Ray actor"):
                        killed.append(actors[0].pid)
                        return

        thread = threading.Thread(target=killer)
        thread.start()
        found = data.map_batches(Slow, fn_constructor_args=[slipher.Model()], batch_format="pyarrow", zero_copy_batch=True, concurrency=2, batch_size=16)
        table = pa.concat_tables(ray_.get(found.to_arrow_refs()))
        thread.join()
        assert killed, "no actor was killed"
        plain = slipher.ray.redshift(ray_.data.read_parquet(files[:1]).drop_columns(["_healpix_29"])).take(1)
        assert plain[0]["z"] is not None
        return table
    finally:
        ray_.shutdown()


def main():
    with tempfile.TemporaryDirectory() as folder:
        sky = os.path.join(folder, "sky")
        run("simulate", "redshift", "-n", N, "-i", "euclid-red", "--hats", 1, "-s", 4, "-o", sky)
        run("redshift", sky, "-o", os.path.join(folder, "whole"))
        truth = pq.read_table(sorted(glob.glob(f"{folder}/whole/dataset/Norder*/**/*.parquet", recursive=True)))
        assert truth.num_rows == N and len(glob.glob(f"{sky}/dataset/Norder*/**/*.parquet", recursive=True)) == 48
        for name in parts:
            start = time.monotonic()
            compare(name, globals()[name](sky, truth, folder), truth)
            print(f"ok     {name}: {N} rows, a worker killed, nothing lost or doubled ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"engines.py: {len(parts)} passed, 0 failed")


if __name__ == "__main__":
    main()
