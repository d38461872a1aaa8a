"""Hostile clients on the Kafka port and on the peer port of a node of three. Whatever they do, an honest producer and consumer on the same
node are served and every record of theirs is counted; the node stays the same process, its memory stays below a bound, and it gives back
its descriptors (hostile.py)."""

import contextlib
import random
import socket
import struct

from clients import consume, create, produce
from cluster import wait_until
from environment import Skip
from hostile import Sockets, honest_clients, may_open, send_some, send_to_all
from kafka_wire import api_versions, connect, fetch_request, frame, metadata, receive_frame, request

MANY = 2000
KEPT_WAITING = "kept memory that others need"  # the node's log, of a client that it has ended for that


@contextlib.contextmanager
def attacked(env, **options):
    """Three nodes and a topic; gives the cluster and the node that leads the topic: that is the one to attack."""
    with env.cluster(**options) as c:
        create(c, "honest", 3)
        yield c, c.node(c.leader("honest"))


def both_ports(node):
    return {"Kafka": node.kafka, "peer": node.peer}


def garbage(env):
    draw = random.Random(1)
    junk = [b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x00\x00\x00\x00", b"\x00" * 5000,
            b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", frame(b""), frame(b"\x12\x67"), frame(b"\x00\x12\x00\x03\x00\x00\x00\x01\x7f\xff")]
    junk += [draw.randbytes(draw.randrange(1, 3000)) for _ in range(100)]
    junk += [frame(draw.randbytes(draw.randrange(1, 300))) for _ in range(100)]
    with attacked(env) as (c, node):
        for port in both_ports(node).values():
            with honest_clients(c, "honest", node) as honest:
                with Sockets() as attack:
                    for data in junk:
                        attack.open(port, data)
                    honest.progress()


def valid_headers_with_garbage_behind_them(env):
    """Every API in every version up to one beyond the last, and greetings whose checksum is right or wrong."""
    draw = random.Random(2)
    with attacked(env) as (c, node):
        with honest_clients(c, "honest", node) as honest:
            with Sockets() as attack:
                for api in range(0, 70):
                    for version in range(0, 14):
                        attack.open(node.kafka, request(api, version, draw.randbytes(draw.randrange(0, 200))))
                honest.progress()
        with honest_clients(c, "honest", node) as honest:
            with Sockets() as attack:
                for kind in range(0, 30):
                    for version in (0, 1, 2):
                        body = struct.pack("<BBHI", kind, version, 0, draw.randrange(0, 200)) + draw.randbytes(draw.randrange(0, 200))
                        attack.open(node.peer, frame(struct.pack("<I", draw.randrange(1 << 32)) + body))
                        attack.open(node.peer, frame(struct.pack("<I", crc32c(body)) + body))
                honest.progress()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 & -(crc & 1))
    return crc ^ 0xFFFFFFFF


def half_frames_held_open(env):
    half = [b"\x00", b"\x00\x00\x00", api_versions()[:-1], api_versions()[:9], frame(b"x" * 100)[:50],
            struct.pack(">i", 60000) + b"y" * 30000]
    with attacked(env) as (c, node):
        for port in both_ports(node).values():
            with honest_clients(c, "honest", node) as honest:
                with Sockets() as attack:
                    for _ in range(80):
                        for data in half:
                            attack.open(port, data)
                    honest.progress()
                    honest.progress()


def frames_of_two_gibibytes(env):
    """Lengths that are out of bounds end the connection at once; lengths within bounds take no memory before their bytes come."""
    with attacked(env) as (c, node):
        for name, port in both_ports(node).items():
            with honest_clients(c, "honest", node) as honest:
                before = node.resident_mib()
                with Sockets() as refused, Sockets() as held:
                    for length in (2**31 - 1, -(2**31), -1, 200 << 20):
                        for _ in range(50):
                            refused.open(port, struct.pack(">i", length) + b"z" * 100)
                    for _ in range(200):
                        held.open(port, struct.pack(">i", 60 << 20) + b"z" * 100)
                    honest.progress()
                    wait_until(f"the {name} port to refuse impossible lengths", lambda: refused.still_open() == 0)
                    used = node.resident_mib() - before
                    assert used < 100, f"the {name} port: {used} MiB for 200 connections that have sent 104 bytes each"


def large_frames_that_never_end(env):
    """Clients that really send: 64 x 24 MiB of frames that are never completed. The node holds 256 MiB of such bytes; when others need
    the room it ends those who have kept it waiting the longest, and so a large request of an honest client is served."""
    with attacked(env) as (c, node):
        for name, port in both_ports(node).items():
            with honest_clients(c, "honest", node) as honest:
                before = node.resident_mib()
                peak = 0
                with Sockets() as attack:
                    for _ in range(64):
                        attack.open(port, struct.pack(">i", 60 << 20))
                    for _ in range(6):
                        send_to_all(attack.open_ones, b"w" * (4 << 20))
                        peak = max(peak, node.resident_mib() - before)
                    honest.progress()
                    peak = max(peak, node.resident_mib() - before)
                    honest.bytes = 900_000
                    honest.progress(3)
                    honest.bytes = 0
                assert peak < 500, f"the {name} port: the node grew by {peak} MiB"
        assert any(KEPT_WAITING in line for line in node.log_lines()), "nobody was ended: this test tests nothing"


def pipelined_requests_whose_answers_nobody_reads(env):
    """Answers of 40 MB, read from the disk, for clients that do not take them. The node holds 256 MiB of answers, and beyond that ends
    those who have kept it waiting the longest when others need the room."""
    with attacked(env, settings=["journal.tail_cache_mib=1"]) as (c, _):
        create(c, "large", 3)
        leader = c.node(c.leader("large"))
        filling = [i.to_bytes(4, "big") + random.Random(i).randbytes(100_000) for i in range(400)]
        expect_none_failed(produce(c, "large", filling, linger_ms=5))
        with honest_clients(c, "honest", leader) as honest:
            before = leader.resident_mib()
            with Sockets() as attack:
                for _ in range(8):
                    attack.open(leader.kafka, receive_buffer=4096)
                send_to_all(attack.open_ones, api_versions() * 3000 + metadata() * 3000)
                send_to_all(attack.open_ones, b"".join(fetch_request("large", 0, max_bytes=2**31 - 1) for _ in range(3000)))
                honest.progress()
                used = leader.resident_mib() - before
                assert used < 500, f"the node grew by {used} MiB"
                # Some do nothing but pipeline Fetch: what they ask for is 39 MB each.
                fetchers = [attack.open(leader.kafka, receive_buffer=4096) for _ in range(16)]
                send_to_all(fetchers, b"".join(fetch_request("large", 0, max_bytes=2**31 - 1) for _ in range(1000)))
                honest.progress()
                used = leader.resident_mib() - before
                assert used < 500, f"the node grew by {used} MiB"
                # Their answers take all the room there is; an honest consumer gets its own all the same.
                assert [v for _, v in consume(c, "large", len(filling), 60)] == filling, "an honest consumer did not get all records"
        assert any(KEPT_WAITING in line for line in leader.log_lines()), "nobody was ended: this test tests nothing"


def expect_none_failed(done):
    assert all(e is None for _, _, e in done), next(e for _, _, e in done if e)


def pipelined_waits(env):
    """Sixty clients, each with nine hundred requests on their way that wait two minutes for records which never come; then they go."""
    with attacked(env) as (c, node):
        create(c, "quiet", 3)
        leader = c.node(c.leader("quiet"))
        with honest_clients(c, "honest", leader) as honest:
            before = leader.resident_mib()
            with Sockets() as attack:
                waits = b"".join(fetch_request("quiet", 0, max_wait_ms=120_000, min_bytes=1, correlation=i) for i in range(900))
                for _ in range(60):
                    attack.open(leader.kafka)
                send_to_all(attack.open_ones, waits)
                honest.progress()
                honest.progress()
                used = leader.resident_mib() - before
                assert used < 200, f"the node grew by {used} MiB"


def connections_that_come_and_go(env):
    with attacked(env) as (c, node):
        for port in both_ports(node).values():
            with honest_clients(c, "honest", node) as honest:
                for i in range(MANY):
                    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
                        if i % 3 == 0:
                            sock.sendall(api_versions()[: i % 20])
                honest.progress()


def two_thousand_connections_held_open(env):
    if not may_open(MANY):
        raise Skip(f"this process may not open {MANY} sockets (ulimit -Hn)")
    with attacked(env) as (c, node):
        for name, port in both_ports(node).items():
            with honest_clients(c, "honest", node) as honest:
                before = node.resident_mib()
                with Sockets() as attack:
                    for _ in range(MANY):
                        attack.open(port)
                    honest.progress()
                    used = node.resident_mib() - before
                    assert used < 200, f"the {name} port: {used} MiB for {MANY} connections"
                    if name == "Kafka":
                        assert attack.still_open() == MANY, f"{MANY - attack.still_open()} of {MANY} connections were refused"
                        with connect(port) as sock:
                            sock.sendall(api_versions())
                            receive_frame(sock)


def byte_by_byte(env):
    """Slow is not wrong: on the Kafka port every request is answered in the end. A peer must greet within seconds."""
    with attacked(env) as (c, node):
        with honest_clients(c, "honest", node) as honest:
            with Sockets() as attack:
                for _ in range(200):
                    attack.open(node.kafka)
                for i in range(len(api_versions())):
                    for sock in attack.open_ones:
                        sock.send(api_versions()[i : i + 1])
                    honest.progress(3)
                for sock in attack.open_ones:
                    sock.settimeout(20)
                    assert len(receive_frame(sock)) > 20
        with honest_clients(c, "honest", node) as honest:
            with Sockets() as attack:
                for _ in range(200):
                    attack.open(node.peer)
                for i in range(10):
                    for sock in attack.open_ones:
                        send_some(sock, frame(b"q" * 100)[i : i + 1])
                    honest.progress(3)
                wait_until("the peer port to end those who do not greet", lambda: attack.still_open() == 0, 30)


def more_connections_than_are_allowed(env):
    """broker.max.connections: those above it are closed at once, the ones that are there are served, and when they go others may come."""
    allowed = 60
    with attacked(env, settings=[f"broker.max.connections={allowed}"]) as (c, node):
        with honest_clients(c, "honest", node) as honest:
            with Sockets() as attack:
                for _ in range(300):
                    attack.open(node.kafka)
                wait_until("the connections above the bound to be closed", lambda: attack.still_open() < allowed)
                assert attack.still_open() > allowed // 2, f"only {attack.still_open()} of {allowed} connections were let in"
                honest.progress()
        expect_none_failed(produce(c, "honest", [b"afterwards"]))


def fewer_descriptors_than_connections(env):
    """A node that may open 400 files keeps enough of them for its journal and its peers: a thousand clients and a thousand would-be peers
    do not cost it its partitions, and new segments can be opened meanwhile."""
    settings = ["journal.segment_mib=1", "journal.budget_mib=200"]
    with attacked(env, descriptors=400, settings=settings) as (c, node):
        with honest_clients(c, "honest", node) as honest:
            with Sockets() as attack:
                for _ in range(1000):
                    attack.open(node.kafka)
                    attack.open(node.peer)
                honest.progress()
                leader = c.partition("honest")["leader"]
                assert leader == node.node_id, f"the partition has moved to node {leader}"
        filling = [i.to_bytes(4, "big") + random.Random(i).randbytes(200_000) for i in range(50)]
        expect_none_failed(produce(c, "honest", filling, linger_ms=5))
        assert node.running(), node.tail()


def idle_connections(env):
    """broker.connections.max.idle.ms: whoever sends nothing, or half a frame, or does not take its answers, is ended after that time;
    whoever works is not."""
    with attacked(env, settings=["broker.connections.max.idle.ms=1500"]) as (c, node):
        create(c, "large", 1)
        leader = c.node(c.leader("large"))
        expect_none_failed(produce(c, "large", [random.Random(i).randbytes(500_000) for i in range(20)]))
        with honest_clients(c, "honest", leader) as honest:
            before = leader.open_descriptors()
            with Sockets() as attack:
                for _ in range(20):
                    attack.open(leader.kafka)
                    attack.open(leader.kafka, api_versions()[:9])
                    attack.open(leader.kafka, fetch_request("large", 0), receive_buffer=4096)
                wait_until("silent clients to be let in", lambda: leader.open_descriptors() >= before + 50)
                wait_until("silent clients to be ended", lambda: leader.open_descriptors() <= before + 10)
                honest.progress()


CASES = [garbage, valid_headers_with_garbage_behind_them, half_frames_held_open, frames_of_two_gibibytes, large_frames_that_never_end,
         pipelined_requests_whose_answers_nobody_reads, pipelined_waits, connections_that_come_and_go, two_thousand_connections_held_open,
         byte_by_byte, more_connections_than_are_allowed, fewer_descriptors_than_connections, idle_connections]
