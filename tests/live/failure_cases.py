"""Nodes that are killed, stopped and refused: what was acknowledged is there afterwards, on every replica, and errors are clear."""

import os
import select
import signal
import subprocess
import time

from clients import consume, create, expect, produce, values
from cluster import free_port, wait_until
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic


def leader_killed_with_three_replicas(env):
    with env.cluster() as c:
        create(c, "story", 3)
        assert all(e is None for _, _, e in produce(c, "story", values(0, 50)))
        first = c.leader("story")
        c.node(first).end(signal.SIGKILL)
        second = c.leader("story", other_than=first)
        assert second != first
        assert all(e is None for _, _, e in produce(c, "story", values(50, 100)))
        expect(consume(c, "story", 100), values(0, 100))
        c.node(first).start()
        c.wait_in_sync("story", 3)
        for node in c.nodes:
            node.end(signal.SIGKILL)
        for node in c.nodes:
            node.start()
        c.leader("story")
        expect(consume(c, "story", 100), values(0, 100))


def equal_logs_on_every_replica(env):
    """Five voters, so that two of the three replicas may be dead and the third must lead: each log is read from its own node."""
    with env.cluster(nodes=5) as c:
        create(c, "equal", 3)
        replicas = {r["id"] for r in c.partition("equal")["replicas"]}
        assert all(e is None for _, _, e in produce(c, "equal", values(0, 50)))
        first = c.leader("equal")
        c.node(first).end(signal.SIGKILL)
        c.leader("equal", other_than=first)
        assert all(e is None for _, _, e in produce(c, "equal", values(50, 100)))
        c.node(first).start()
        c.wait_in_sync("equal", 3)
        led = set()
        while led != replicas:
            leader = c.leader("equal")
            expect(consume(c, "equal", 100), values(0, 100))
            led.add(leader)
            if led != replicas:
                c.node(leader).end(signal.SIGKILL)
                c.leader("equal", other_than=leader)


def leader_killed_with_one_replica(env):
    with env.cluster() as c:
        create(c, "single", 1)
        assert all(e is None for _, _, e in produce(c, "single", values(0, 50)))
        only = c.leader("single")
        c.node(only).end(signal.SIGKILL)
        wait_until("the partition to be offline", lambda: (c.partition("single") or {"leader": 0})["leader"] == -1)
        assert "not available" in c.partition("single").get("error", "").lower(), f"no clear error: {c.partition('single')}"
        began = time.monotonic()
        lost = produce(c, "single", values(50, 55), timeout_ms=4000)
        assert all(e is not None for _, _, e in lost), f"a write succeeded without its only replica: {lost}"
        assert time.monotonic() - began < 14, "the clients had to wait too long for their error"
        taken_over = [line for n in c.nodes if n.node_id != only for line in n.log_lines() if "role=leader topic=single " in line]
        assert not taken_over, f"a node without the data leads: {taken_over}"
        c.node(only).start()
        assert c.leader("single") == only
        got = consume(c, "single", 50)
        expect(got[:50], values(0, 50))
        assert len(got) == 50, f"records appeared that nobody was told of: {got[50:]}"
        assert all(e is None for _, _, e in produce(c, "single", values(50, 100)))
        expect(consume(c, "single", 100), values(0, 100))


def orderly_stop_and_refusals(env):
    with env.cluster() as c:
        create(c, "stop", 3)
        leader = c.leader("stop")
        assert c.node(leader).end(signal.SIGTERM) == 0, "SIGTERM does not end with code 0"
        c.leader("stop", other_than=leader)
        other = next(n for n in c.nodes if n.running())

        def refused(arguments, why):
            out = subprocess.run([env.binary, *arguments], capture_output=True, timeout=20, check=False)
            lines = [x for x in out.stderr.decode().splitlines() if x.startswith("stormglassd: ")]
            assert out.returncode == 2 and len(lines) == 1, f"{why}: code {out.returncode}, {out.stderr.decode()[-500:]}"

        spare = os.path.join(c.directory, "spare")
        refused(["--kafka", f"127.0.0.1:{other.kafka}", "--peer", f"127.0.0.1:{free_port()}", "--data-dir", spare], "port in use")
        refused(["--set", "broker.num.partitons=3", "--data-dir", spare], "unknown key")
        locked = other.command[:]
        locked[locked.index("--kafka") + 1] = f"127.0.0.1:{free_port()}"
        locked[locked.index("--peer") + 1] = f"127.0.0.1:{free_port()}"
        refused(locked[1:], "locked directory")


def topics_made_while_a_broker_is_down(env):
    """By factor, by assignment and on demand: the dead broker is the last replica, and copies when it returns."""
    with env.cluster() as c:
        create(c, "before", 3)
        dead = c.node(3)
        dead.end(signal.SIGKILL)
        wait_until("the broker to be fenced", lambda: len((c.metadata() or {"brokers": []})["brokers"]) == 2)
        admin = AdminClient({"bootstrap.servers": c.bootstrap, "log_level": 0})
        admin.create_topics([NewTopic("placed", 4, 3)])["placed"].result(20)
        admin.create_topics([NewTopic("assigned", 1, replica_assignment=[[3, 1, 2]])])["assigned"].result(20)
        assert all(e is None for _, _, e in produce(c, "on-demand", values(0, 10)))
        assert [r["id"] for r in c.partition("on-demand")["replicas"]][2] == 3
        for partition in range(4):
            assert [r["id"] for r in c.partition("placed", partition)["replicas"]][2] == 3
        refused = admin.create_topics([NewTopic("four", 1, 4)])["four"]
        try:
            refused.result(20)
            raise AssertionError("four replicas on three brokers")
        except KafkaException as e:
            assert "3 have ever registered" in str(e), e
        dead.start()
        for topic in ("placed", "assigned", "on-demand"):
            c.wait_in_sync(topic, 3)
        expect(consume(c, "on-demand", 10), values(0, 10))


def log_that_nobody_reads(env):
    """Standard error is a pipe that is not read: the node goes on, counts what it loses, says so, and ends in time."""
    with env.cluster(nodes=1) as c:
        node = c.nodes[0]
        node.end(signal.SIGTERM)
        reader, writer = os.pipe()
        node.process = subprocess.Popen([*node.command, "--verbose"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=writer)
        os.close(writer)
        try:
            c.wait_brokers(1)
            admin = AdminClient({"bootstrap.servers": c.bootstrap, "log_level": 0})
            for i in range(8):
                admin.create_topics([NewTopic(f"many{i}", 2000, 1)])[f"many{i}"].result(60)
                assert all(e is None for _, _, e in produce(c, f"many{i}", values(0, 10), partition=0)), "a send failed"
            text, deadline = b"", time.monotonic() + 20
            while b"lines_lost count=" not in text and time.monotonic() < deadline:
                if select.select([reader], [], [], 1)[0]:
                    text += os.read(reader, 1 << 20)
            assert b"lines_lost count=" in text, f"{len(text)} bytes of log, and no line says that others are missing"
            for i in range(3):  # fills the pipe again
                admin.create_topics([NewTopic(f"more{i}", 2000, 1)])[f"more{i}"].result(60)
            assert node.end(signal.SIGTERM) == 0, "it does not end with code 0"
        finally:
            os.close(reader)


CASES = [leader_killed_with_three_replicas, equal_logs_on_every_replica, leader_killed_with_one_replica, orderly_stop_and_refusals,
         topics_made_while_a_broker_is_down, log_that_nobody_reads]
