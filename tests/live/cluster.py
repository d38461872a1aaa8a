"""Real stormglassd processes for tests: started on free loopback ports in a temporary directory, killed and restarted by process id, and
always stopped at the end. What a node holds (descriptors, memory) is read from /proc. Everything that waits has a bound."""

import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


handed_out = set()  # whoever was given a port may not listen on it yet


def free_port():
    """One that nobody listens on, that was given to nobody before, and that the system gives to no outgoing connection: thousands of those
    come and go in these tests."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first_given = int(file.read().split()[0])
    low, high = (10_000, first_given) if first_given > 12_000 else (61_000, 65_536)
    for _ in range(1000):
        port = random.randrange(low, high)
        if port in handed_out:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                s.listen(1)
                handed_out.add(port)
                return port
            except OSError:
                continue
    raise AssertionError(f"no free port between {low} and {high}")


def wait_until(what, condition, limit_s=20):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {limit_s} s in vain for {what}")


class Node:
    """`settings` are KEY=VALUE as for `stormglassd --set`; `descriptors` limits how many files and connections the process may open."""

    def __init__(self, binary, node_id, directory, voters, kafka, peer, settings=(), descriptors=None):
        self.node_id, self.kafka, self.peer, self.descriptors = node_id, kafka, peer, descriptors
        self.data = os.path.join(directory, f"data{node_id}")
        self.log = os.path.join(directory, f"node{node_id}.log")
        self.command = [binary, "--node-id", str(node_id), "--data-dir", self.data,
                        "--kafka", f"127.0.0.1:{kafka}", "--peer", f"127.0.0.1:{peer}", "--voters", voters, "--form"]
        for setting in settings:
            self.command += ["--set", setting]
        self.process = None

    def start(self, limit_s=20):
        command = self.command
        if self.descriptors:
            command = ["prlimit", f"--nofile={self.descriptors}:{self.descriptors}", *command]  # becomes the node: same process id
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        answered, _, _ = select.select([self.process.stdout], [], [], limit_s)
        line = self.process.stdout.readline().decode() if answered else ""
        if not line.startswith("READY "):
            raise AssertionError(f"node {self.node_id} did not start:\n{self.tail()}")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def end(self, sig, limit_s=15):
        if not self.running():
            return None
        self.process.send_signal(sig)
        code = self.process.wait(limit_s)
        self.process.stdout.close()
        return code

    def open_descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            resident = [int(line.split()[1]) for line in status if line.startswith("VmRSS:")]
        assert resident, f"node {self.node_id} has died:\n{self.tail()}"
        return resident[0] // 1024

    def log_lines(self):
        with open(self.log, errors="replace") as log:
            return log.readlines()

    def tail(self, lines=15):
        return "".join(self.log_lines()[-lines:])


class Cluster:
    """`with Cluster(binary) as c:` gives `nodes` running nodes, each with the `options` of Node. `through(port)` says where the voters find
    each other instead of a node's own peer port."""

    def __init__(self, binary, nodes=3, through=lambda port: port, **options):
        self.directory = tempfile.mkdtemp(prefix="stormglass-live-")
        peers = [free_port() for _ in range(nodes)]
        voters = ",".join(f"{i + 1}@127.0.0.1:{p}" for i, p in enumerate(map(through, peers)))
        self.nodes = [Node(binary, i + 1, self.directory, voters, free_port(), peers[i], **options) for i in range(nodes)]

    def __enter__(self):
        try:
            for node in self.nodes:
                node.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind, error, trace):
        if error is not None:
            for node in self.nodes:
                print(f"--- node {node.node_id}, last lines of its log\n{node.tail()}")
        self.stop()
        return False

    def stop(self):
        for node in self.nodes:
            if node.running():
                node.end(signal.SIGKILL)
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{n.kafka}" for n in self.nodes)

    def node(self, node_id):
        return self.nodes[node_id - 1]

    def metadata(self):
        """What a live broker says, as kcat's JSON; None while nobody answers."""
        for node in self.nodes:
            if not node.running():
                continue
            out = subprocess.run(["kcat", "-b", f"127.0.0.1:{node.kafka}", "-L", "-J", "-m", "3"], capture_output=True, timeout=20,
                                 check=False)
            if out.returncode == 0:
                return json.loads(out.stdout)
        return None

    def partition(self, topic, partition=0):
        meta = self.metadata()
        for t in (meta or {}).get("topics", []):
            if t["topic"] == topic and len(t["partitions"]) > partition:
                return t["partitions"][partition]
        return None

    def wait_brokers(self, count):
        wait_until(f"{count} brokers", lambda: len((self.metadata() or {"brokers": []})["brokers"]) >= count)

    def leader(self, topic, other_than=None):
        def find():
            p = self.partition(topic)
            return p["leader"] if p and p["leader"] > 0 and p["leader"] != other_than else None

        return wait_until(f"a leader of {topic}", find)

    def wait_in_sync(self, topic, count, partition=0):
        wait_until(f"{count} replicas of {topic} in sync", lambda: len((self.partition(topic, partition) or {"isrs": []})["isrs"]) >= count)
