"""The rows of bench/run. Each is a function of the Bench that returns what it measured as [Row]; see ROWS at the end."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time

from measuring import Failed, Row, at_least, at_most, below, cpu_s, create, end_offsets, run, spread, status, wait_until

TIMES = 5
LOAD_S = 2  # of each throughput run: at 300 MB/s five of them would fill a journal's budget, so each has a cluster of its own
GIB = 1 << 30
TAIL_BYTES = 48 << 20  # in the last segment when a node is killed: recovery reads and verifies all of it


def disk(bench):
    ways = bench.disk()
    command = "build/bench/disk"
    return [Row(f"4 KiB: {w['way']}", command, [w["p50_us"]], "µs", cpu=f"{w['cpu_us']} µs per write",
                note=f"p99 {w['p99_us']} µs; 512 KiB at a time {w['mb_per_s']:,} MB/s") for w in ways]


def failover(bench):
    ours, theirs = [], []
    with bench.cluster() as cluster:
        create(cluster, "failover")
        for _ in range(2 * TIMES):
            pids = [f"{n.node_id}={n.process.pid}" for n in cluster.nodes]
            figures = os.path.join(cluster.directory, "failover.json")
            run([bench.stormglass, "bench", "failover", "--bootstrap", cluster.bootstrap, "--topic", "failover", "--seconds", "1",
                 "--json", figures] + [f"--pid={p}" for p in pids])
            with open(figures, encoding="utf-8") as source:
                ours.append(json.load(source)["failover_us"] / 1000)
            restart_dead(cluster, "failover")
        for _ in range(TIMES):
            theirs.append(librdkafka_gap_ms(cluster, "failover"))
            restart_dead(cluster, "failover")
    command = "stormglass bench failover --seconds 1 --pid ... (ten times)"
    return [Row("SIGKILL of the leader to the next ack", command, ours, "ms", digits=1, target=below(300, "ms")),
            Row("the same through librdkafka, its defaults", "one record in flight by python3-confluent-kafka, leader killed", theirs, "ms",
                note="longest gap between two acks; librdkafka's own back-offs are 100 to 1,000 ms")]


def restart_dead(cluster, topic):
    for node in cluster.nodes:
        try:
            node.process.wait(0.5 if node.running() else 5)
        except subprocess.TimeoutExpired:
            continue
        node.start()
    cluster.wait_in_sync(topic, 3)


def librdkafka_gap_ms(cluster, topic):
    """The longest time between two acknowledgements of a client with one record in flight while the leader is killed."""
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": cluster.bootstrap, "acks": "all", "linger.ms": 0, "log_level": 0})
    leader = cluster.node(cluster.leader(topic))
    previous = longest = None
    killed = False
    end = time.monotonic() + 1.0
    while time.monotonic() < end or (longest or 0) < 0.001:
        answers = []
        producer.produce(topic, b"x" * 100, partition=0, on_delivery=lambda error, _: answers.append(error))
        while not answers:
            producer.poll(0.1)
        now = time.monotonic()
        if answers[0]:
            raise Failed(f"librdkafka gave up a record: {answers[0]}")
        if killed:
            longest = max(longest, now - previous)
        previous = now
        if not killed and now > end - 0.5:
            leader.process.send_signal(signal.SIGKILL)
            killed, longest, end = True, 0, now + 3
    return longest * 1000


def one_in_flight(bench):
    floors, ours, theirs, ratios, cpu = [], [], [], [], []
    with bench.cluster() as cluster:
        create(cluster, "latency")
        bench.own("latency", cluster.bootstrap, "latency", 1)  # warms up
        for _ in range(TIMES):
            floors.append(bench.floor(4000)["p50_us"])
            with bench.counted(cluster, lambda: bench.own("latency", cluster.bootstrap, "latency", LOAD_S), "latency") as load:
                ours.append(load)
            ratios.append(load.p50_us / floors[-1])
            cpu.append(load.broker_cpu_s / load.records * 1e6)
            if bench.driver:
                theirs.append(bench.drive("lat", 100, LOAD_S, cluster.bootstrap, "latency").p50_us)
    command = "build/bench/floor; stormglass bench latency --seconds 2; kafka_produce_bench -m lat (in turns)"
    return [Row("floor: three processes, no Kafka", command, floors, "µs"),
            Row("one write in flight, acks=all, 100 B, p50", command, [load.p50_us for load in ours], "µs",
                cpu=f"brokers together {spread(cpu, 'µs')} per write", note=f"p99 {spread([load.p99_us for load in ours], 'µs')}"),
            Row("ratio to the floor", command, ratios, "", digits=2, target=at_most(1.5)),
            Row("the same through librdkafka, p50", command, theirs, "µs")]


def throughput(bench, what, size, mark=None, acks="all", partitions=1, beside=None, own_client=False):
    """`beside(cluster, topic)`: something that goes on beside the load, like a Reader; what it has to say is printed with the row."""
    mocks, loads, own, ratios, notes = [], [], [], [], []
    for _ in range(TIMES):
        if bench.driver:
            mocks.append(bench.drive("mock", size, LOAD_S, acks=acks))
        with bench.cluster() as cluster:
            if bench.driver:
                create(cluster, "bench", partitions)
                companion = beside(cluster, "bench") if beside else None
                try:
                    def loaded():
                        load = bench.drive("tput", size, LOAD_S, cluster.bootstrap, acks=acks)
                        if companion:
                            companion.load_ended()
                        return load

                    with bench.counted(cluster, loaded, "bench", partitions) as load:
                        loads.append(load)
                    if companion:
                        notes.append(companion.caught_up(load))
                finally:
                    if companion:
                        companion.stop()
                ratios.append(loads[-1].rate / mocks[-1].rate)
            if own_client or not bench.driver:
                create(cluster, "own", partitions)
                with bench.counted(cluster, lambda: bench.own("produce", cluster.bootstrap, "own", LOAD_S, size, partitions, acks), "own",
                                   partitions) as load:
                    own.append(load)
    options = f"-s {size} -d {LOAD_S}" + (f" -a {acks}" if acks != "all" else "")
    command = f"kafka_produce_bench -m mock {options}; -m tput {options} (in turns, a new cluster each)"
    out = []
    if bench.driver:
        typical = sorted(loads, key=lambda load: load.rate)[len(loads) // 2]
        speed = spread([load.mb_per_s for load in loads], "MB/s")
        out += [Row("librdkafka's own mock cluster", command, [m.rate for m in mocks], "records/s", cpu=mocks[-1].cpu() + " ns/record"),
                Row(what, command, [load.rate for load in loads], "records/s", cpu=typical.cpu(),
                    note=f"{speed}; p50 {typical.p50_us:,} µs, p99 {typical.p99_us:,} µs"),
                Row("ratio to the mock", command, ratios, "", digits=3, target=at_least(mark) if mark else None, note="".join(notes[-1:]))]
    if own:
        typical = sorted(own, key=lambda load: load.rate)[len(own) // 2]
        flags = f"--size {size} --seconds {LOAD_S} --acks {acks} --partitions {partitions}"
        speed = spread([load.mb_per_s for load in own], "MB/s")
        out.append(Row("the same by our own client", f"stormglass bench produce {flags}", [load.rate for load in own], "records/s",
                       cpu=typical.cpu(), note=f"{speed}; batches of 16 KiB: p50 {typical.p50_us:,} µs, p99 {typical.p99_us:,} µs"))
    return out


class Reader:
    """kcat following partition 0 from its beginning. It prints the offsets it has read; the last one tells how far it is behind."""

    def __init__(self, cluster, topic):
        self.cluster, self.topic = cluster, topic
        self.path = os.path.join("/dev/shm" if os.path.isdir("/dev/shm") else cluster.directory, f"stormglass-bench-{os.getpid()}")
        with open(self.path, "wb") as sink:
            self.process = subprocess.Popen(["kcat", "-b", cluster.bootstrap, "-C", "-t", topic, "-p", "0", "-o", "beginning", "-q", "-f",
                                             "%o\n"], stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.DEVNULL)

    def position(self):
        """The offset behind the last record read, as far as kcat's buffered output (4 KiB, some 500 records) shows."""
        with open(self.path, "rb") as source:
            source.seek(max(0, os.fstat(source.fileno()).st_size - 64))
            lines = source.read().split(b"\n")
        return int(lines[-2]) + 1 if len(lines) > 2 else 0

    def load_ended(self):
        self.at_end, self.ended = self.position(), time.monotonic()

    def caught_up(self, load):
        """How far behind it was when the load had ended; Failed unless it then reads all the rest."""
        behind = load.records - self.at_end
        wait_until("the consumer to read the rest", lambda: self.position() >= load.records - 1000, 30)
        if not end_offsets(self.cluster, self.topic) >= self.position():
            raise Failed("the consumer has read beyond the log's end")
        return (f"the consumer was {max(0, behind):,} records ({max(0, behind) / load.rate * 1000:,.0f} ms of the load) behind at its end, "
                f"and had the rest {(time.monotonic() - self.ended) * 1000:,.0f} ms later at the latest; its CPU "
                f"{cpu_s(self.process.pid) / load.records * 1e9:,.0f} ns/record")

    def stop(self):
        self.process.kill()
        self.process.wait()
        os.unlink(self.path)


def start_up(bench):
    empty, at_once, orderly, killed = [], [], [], []
    for _ in range(TIMES):
        with bench.cluster() as cluster:
            node = cluster.node(1)
            node.end(signal.SIGKILL)
            shutil.rmtree(node.data)
            empty.append(start_ms(node))
    with bench.cluster() as cluster:
        create(cluster, "small", 4)
        for turn in range(4 * TIMES):
            node = cluster.node(1 + turn % 3)
            node.end(signal.SIGKILL)
            at_once.append(start_ms(node))
            cluster.wait_in_sync("small", 3)
    with bench.cluster() as cluster:
        create(cluster, "full", 4)
        node = cluster.node(1)
        while data_bytes(node) < GIB:
            bench.own("produce", cluster.bootstrap, "full", LOAD_S, 1000, 4)
        full_mib = data_bytes(node) >> 20
        for sig, into in ((signal.SIGTERM, orderly), (signal.SIGKILL, killed)):
            for _ in range(TIMES):
                fill_tail(bench, cluster)
                node.end(sig)
                into.append(start_ms(node))
                cluster.wait_in_sync("full", 3)
    command = "time from exec to the READY line of one of three nodes"
    return [Row("start to READY, empty directory", command, empty, "ms", target=below(100, "ms")),
            Row("almost empty, at once after SIGKILL", command, at_once, "ms", target=below(100, "ms"),
                note="registered, in place of the run that was killed"),
            Row(f"{full_mib:,} MiB, after an orderly stop", command, orderly, "ms", target=below(100, "ms")),
            Row(f"{full_mib:,} MiB, after SIGKILL", command, killed, "ms", target=below(100, "ms"),
                note=f"{TAIL_BYTES >> 20} MiB in the last segment, read and verified")]


def start_ms(node):
    began = time.monotonic()
    node.start()
    return (time.monotonic() - began) * 1000


def data_bytes(node):
    return sum(os.stat(os.path.join(base, name)).st_blocks * 512 for base, _, names in os.walk(node.data) for name in names)


def fill_tail(bench, cluster):
    """The run's first segment is small (4 MiB), the next ones have 64: fills the second one as far as TAIL_BYTES."""
    held = end_offsets(cluster, "full", 4)
    while (end_offsets(cluster, "full", 4) - held) * 1000 < TAIL_BYTES:
        run([bench.stormglass, "bench", "produce", "--bootstrap", cluster.bootstrap, "--topic", "full", "--size", "1000", "--seconds", "1"])


def idle(bench):
    seconds = 10
    with bench.cluster() as cluster:
        create(cluster, "idle")
        time.sleep(3)
        pids = [n.process.pid for n in cluster.nodes]
        cpu, wakeups = [main_thread_ns(p) for p in pids], [status(p, "voluntary_ctxt_switches") for p in pids]
        time.sleep(seconds)
        rss = [status(p, "VmRSS") / 1024 for p in pids]
        cpu = [(main_thread_ns(p) - c) / 1e6 / seconds for p, c in zip(pids, cpu)]
        wakeups = [(status(p, "voluntary_ctxt_switches") - w) / seconds for p, w in zip(pids, wakeups)]
        calls = [syscalls_per_s(p) for p in pids] if shutil.which("strace") else []
    command = f"three idle nodes, one topic, {seconds} s"
    return [Row("resident memory of an idle node", command, rss, "MiB", digits=1, target=below(30, "MiB")),
            Row("CPU of an idle node", command, cpu, "ms per s", digits=2),
            Row("times an idle node wakes up", command, wakeups, "per s", digits=1,
                note="heartbeats are 10 per second: a Raft leader sends them to two peers and gets two answers, a controller hears three"),
            Row("system calls of an idle node", command, calls, "per s", note="" if calls else "strace is not installed")]


def main_thread_ns(pid):
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as source:
        return int(source.read().split()[0])


def syscalls_per_s(pid, seconds=3):
    with tempfile.NamedTemporaryFile() as table:
        process = subprocess.Popen(["strace", "-c", "-f", "-o", table.name, "-p", str(pid)], stderr=subprocess.DEVNULL)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        process.wait(10)
        found = re.search(r"^\s*100\.00\s+\S+\s+\d+\s+(\d+)", table.read().decode(), re.M)
    return int(found[1]) / seconds if found else 0


ROWS = {
    "disk": ("one synced write along each way to the disk", disk),
    "failover": ("the leader is killed", failover),
    "one-in-flight": ("acks=all, one record at a time", one_in_flight),
    "pipelined-100": ("acks=all, one partition, 100 B", lambda b: throughput(b, "pipelined, acks=all, 100 B", 100, 0.115, own_client=True)),
    "pipelined-1k": ("acks=all, one partition, 1 KiB", lambda b: throughput(b, "pipelined, acks=all, 1 KiB", 1024, 0.05, own_client=True)),
    "acks-1": ("acks=1, one partition, 100 B", lambda b: throughput(b, "pipelined, acks=1, 100 B", 100, acks="1")),
    "partitions": ("acks=all, six partitions, 100 B", lambda b: throughput(b, "six partitions, acks=all, 100 B", 100, partitions=6)),
    "consumer": ("acks=all, one partition, 100 B, and a consumer that follows",
                 lambda b: throughput(b, "with a consumer, acks=all, 100 B", 100, beside=Reader)),
    "start-up": ("from exec to READY", start_up),
    "idle": ("nobody asks for anything", idle),
}
