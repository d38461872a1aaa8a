"""What the rows of bench/run share: the load drivers, the CPU of processes, what the log holds afterwards, and how a figure is told."""

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "live"))
from cluster import Cluster, wait_until  # noqa: E402

TICK_S = 1 / os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A measurement that cannot be believed: something was lost, nothing was acknowledged, a program ended badly."""


def cpu_s(pid):
    """CPU of a process so far, all threads, in seconds; of ended threads too."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def status(pid, key):
    """A number of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise Failed(f"no {key} in /proc/{pid}/status")


def run(command, limit_s=120):
    """(standard output, CPU seconds of the process); Failed unless it exits with 0."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors)
        deadline = time.monotonic() + limit_s
        while True:
            pid, code, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                process.kill()
                os.wait4(process.pid, 0)
                process.returncode = -9
                raise Failed(f"{' '.join(command)}: not done after {limit_s} s")
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(code)
        out.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            raise Failed(f"{' '.join(command)}: exit {process.returncode}\n{errors.read().decode(errors='replace')[-1000:]}")
        return out.read().decode(), usage.ru_utime + usage.ru_stime


class Load:
    """What one run of a load came to: rate and latency as the client saw them, CPU per record of the client and of all brokers."""

    def __init__(self, rate, mb_per_s, acked, p50_us, p99_us, client_cpu_s):
        self.rate, self.mb_per_s, self.acked, self.p50_us, self.p99_us = rate, mb_per_s, acked, p50_us, p99_us
        self.client_cpu_s, self.broker_cpu_s, self.records = client_cpu_s, None, acked

    def cpu(self):
        """CPU per record in ns: client, and the brokers together."""
        client = f"client {self.client_cpu_s / self.records * 1e9:,.0f}"
        return client if self.broker_cpu_s is None else f"{client}, brokers {self.broker_cpu_s / self.records * 1e9:,.0f} ns/record"


class Bench:
    """The programs, and how to run them."""

    def __init__(self, build, driver_source):
        self.build = os.path.join(ROOT, build)
        self.stormglassd = os.path.join(self.build, "stormglassd")
        self.stormglass = os.path.join(self.build, "stormglass")
        self.driver, self.no_driver = self._compile(driver_source)

    def _compile(self, source):
        """(the compiled librdkafka driver, None) or (None, why not)."""
        if not source or not os.path.exists(source):
            return None, f"no driver source ({source or 'name it with --driver-source'})"
        target = os.path.join(self.build, "bench", "kafka_produce_bench")
        if os.path.exists(target) and os.path.getmtime(target) > os.path.getmtime(source):
            return target, None
        done = subprocess.run(["gcc", "-O2", source, "-o", target, "-lrdkafka"], capture_output=True, check=False)
        if done.returncode != 0:
            return None, f"{source} does not compile (package librdkafka-dev?): {done.stderr.decode(errors='replace').strip()[:200]}"
        return target, None

    def cluster(self):
        return Cluster(self.stormglassd)

    def drive(self, mode, size, seconds, bootstrap=None, topic="bench", acks="all"):
        """The librdkafka driver."""
        command = [self.driver, "-m", mode, "-s", str(size), "-d", str(seconds), "-a", acks]
        if bootstrap:
            command += ["-b", bootstrap, "-t", topic]
        out, cpu = run(command)
        found = re.search(r"acked=(\d+) failed=(\d+) in [\d.]+s: (\d+) msg/s ([\d.]+) MB/s lat p50 (\d+) p99 (\d+)", out)
        if not found or int(found[1]) == 0 or int(found[2]) > 0:
            raise Failed(f"{' '.join(command)}: {out.strip()}")
        return Load(int(found[3]), float(found[4]), int(found[1]), int(found[5]), int(found[6]), cpu)

    def own(self, kind, bootstrap, topic, seconds, size=100, partitions=1, acks="all"):
        """`stormglass bench produce` or `latency`."""
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, "figures.json")
            _, cpu = run([self.stormglass, "bench", kind, "--bootstrap", bootstrap, "--topic", topic, "--partitions", str(partitions),
                          "--size", str(size), "--seconds", str(seconds), "--acks", acks, "--json", path])
            with open(path, encoding="utf-8") as source:
                f = json.load(source)
        return Load(f["messages_per_s"], f["bytes_per_s"] / 1e6, f["acknowledged"], f["p50_us"], f["p99_us"], cpu)

    def floor(self, rounds, size=100):
        out, _ = run([os.path.join(self.build, "bench", "floor"), "--dir", tempfile.gettempdir(), "--rounds", str(rounds), "--size",
                      str(size), "--json"])
        return json.loads(out)

    def disk(self):
        out, _ = run([os.path.join(self.build, "bench", "disk"), "--dir", tempfile.gettempdir(), "--json"])
        return [json.loads(line) for line in out.splitlines()]

    @contextlib.contextmanager
    def counted(self, cluster, load_of, topic, partitions=1):
        """Measures a load: `load_of()` runs inside; broker CPU and what the log holds are put beside it, and compared."""
        before = [cpu_s(n.process.pid) for n in cluster.nodes]
        held = end_offsets(cluster, topic, partitions)
        load = load_of()
        load.broker_cpu_s = sum(cpu_s(n.process.pid) for n in cluster.nodes) - sum(before)
        load.records = end_offsets(cluster, topic, partitions) - held
        if load.records < load.acked:
            raise Failed(f"{load.acked} records were acknowledged, the log holds {load.records}")
        yield load


def create(cluster, topic, partitions=1):
    """A topic with three replicas, all in sync."""
    from confluent_kafka.admin import AdminClient, NewTopic

    cluster.wait_brokers(3)
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_topics([NewTopic(topic, partitions, 3)])[topic].result(20)
    for p in range(partitions):
        wait_until("three replicas in sync", lambda p=p: len((cluster.partition(topic, p) or {"isrs": []})["isrs"]) == 3)


def end_offsets(cluster, topic, partitions=1):
    """The sum of all partitions' end offsets, as ListOffsets tells them."""
    command = ["kcat", "-b", cluster.bootstrap, "-Q"]
    for p in range(partitions):
        command += ["-t", f"{topic}:{p}:-1"]
    out, _ = run(command, 30)
    ends = re.findall(r"\[\d+\] offset (\d+)", out)
    if len(ends) != partitions:
        raise Failed(f"kcat -Q: {out}")
    return sum(int(e) for e in ends)


def spread(values, unit="", digits=0):
    """median [min..max] unit"""
    m, low, high = (f"{v:,.{digits}f}" for v in (statistics.median(values), min(values), max(values)))
    return f"{m} [{low}..{high}]{' ' + unit if unit else ''}"


class Row:
    """One line of the table. `values` are what was measured, one per repetition; `target` is (text, whether a median meets it)."""

    def __init__(self, what, command, values, unit, digits=0, cpu="", target=None, note=""):
        self.what, self.command, self.values, self.unit, self.digits = what, command, values, unit, digits
        self.cpu, self.note = cpu, note
        self.target = target[0] if target else ""
        self.met = target[1](statistics.median(values)) if target and values else None

    def figure(self):
        return spread(self.values, self.unit, self.digits) if self.values else "not measured"

    def as_json(self):
        return {"what": self.what, "command": self.command, "median": statistics.median(self.values) if self.values else None,
                "values": self.values, "unit": self.unit, "cpu": self.cpu, "target": self.target, "met": self.met, "note": self.note}


def below(limit, unit=""):
    return f"< {limit:g}{' ' + unit if unit else ''}", lambda median: median < limit


def at_most(limit):
    return f"<= {limit:g}", lambda median: median <= limit


def at_least(limit):
    return f">= {limit:g}", lambda median: median >= limit
