"""Real stormglassd processes for tests: started on free loopback ports in a temporary directory, killed and restarted by process id, and
always stopped at the end. Everything that waits has a bound."""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, condition, limit_s=20):
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"waited {limit_s} s in vain for {what}")


class Node:
    def __init__(self, binary, node_id, directory, voters, kafka, peer):
        self.node_id, self.kafka, self.data = node_id, kafka, os.path.join(directory, f"data{node_id}")
        self.log = os.path.join(directory, f"node{node_id}.log")
        self.command = [binary, "--node-id", str(node_id), "--data-dir", self.data,
                        "--kafka", f"127.0.0.1:{kafka}", "--peer", f"127.0.0.1:{peer}", "--voters", voters]
        self.process = None

    def start(self, limit_s=20):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
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

    def log_lines(self):
        with open(self.log, errors="replace") as log:
            return log.readlines()

    def tail(self, lines=15):
        return "".join(self.log_lines()[-lines:])


class Cluster:
    """`with Cluster(binary) as c:` gives `nodes` running nodes."""

    def __init__(self, binary, nodes=3):
        self.directory = tempfile.mkdtemp(prefix="stormglass-live-")
        peers = [free_port() for _ in range(nodes)]
        voters = ",".join(f"{i + 1}@127.0.0.1:{p}" for i, p in enumerate(peers))
        self.nodes = [Node(binary, i + 1, self.directory, voters, free_port(), peers[i]) for i in range(nodes)]

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

    def wait_in_sync(self, topic, count):
        wait_until(f"{count} replicas of {topic} in sync", lambda: len((self.partition(topic) or {"isrs": []})["isrs"]) >= count)
