"""What a node may still say (docs/kafka-support.md, "Who answers"), seen by a client that speaks the protocol by hand."""

import signal
import time

import kafka_wire as wire
from clients import create, produce, values
from cluster import wait_until

NONE, NOT_LEADER_OR_FOLLOWER, LEADER_NOT_AVAILABLE = 0, 6, 5
LATEST, EARLIEST = -1, -2


def leader_without_a_controller(env):
    with env.cluster() as c:
        create(c, "silent", 3)
        c.wait_in_sync("silent", 3)
        assert all(e is None for _, _, e in produce(c, "silent", values(0, 20)))
        leader = c.node(c.leader("silent"))
        error, named, epoch = wire.led(leader.kafka, "silent")
        assert (error, named) == (NONE, leader.node_id), f"before: error {error}, leader {named}"
        assert wire.fetched(leader.kafka, "silent", 0, epoch)[0] == NONE
        assert wire.listed(leader.kafka, "silent", LATEST) == (NONE, 20)
        assert wire.produced(leader.kafka, "silent", acks=1) == NONE
        others = [n for n in c.nodes if n is not leader]
        for node in others:
            node.process.send_signal(signal.SIGSTOP)
        try:
            silent_leader_says_little(leader, epoch)
        finally:
            for node in others:
                node.process.send_signal(signal.SIGCONT)
        # Whoever leads then says so, and takes records again.
        c.leader("silent")

        def again():
            return all(e is None for _, _, e in produce(c, "silent", values(20, 25)))

        wait_until("records to be taken again", again)


def silent_leader_says_little(leader, epoch):
    wait_until("the leader to miss its controller", lambda: any("controller_silent" in line for line in leader.log_lines()))

    def timed(call, *arguments, **named):
        began = time.monotonic()
        return call(leader.kafka, "silent", *arguments, **named), time.monotonic() - began

    for acks in (1, -1):
        error, took = timed(wire.produced, acks=acks)
        assert error == NOT_LEADER_OR_FOLLOWER, f"acks={acks}: error {error}"
        expected = (0.9, 3) if acks == -1 else (0, 0.9)
        assert expected[0] <= took <= expected[1], f"acks={acks} was answered after {took:.2f} s"
    (error, high_watermark, size), _ = timed(wire.fetched, 0, epoch)
    assert error == NONE and high_watermark >= 20 and size > 0, f"committed records: error {error}, {size} bytes up to {high_watermark}"
    for what, offset, named in (("nothing to give", high_watermark, epoch), ("beyond the end", 10_000, epoch), ("no epoch", 0, -1),
                                ("an earlier epoch", 0, epoch - 1), ("a later epoch", 0, epoch + 1)):
        (error, told, size), took = timed(wire.fetched, offset, named)
        assert (error, told, size) == (NOT_LEADER_OR_FOLLOWER, -1, 0), f"Fetch, {what}: error {error}, end {told}, {size} bytes"
        assert took < 2, f"Fetch, {what}: answered after {took:.2f} s"
    for timestamp in (LATEST, EARLIEST, 1_000):
        (error, offset), _ = timed(wire.listed, timestamp)
        assert (error, offset) == (NOT_LEADER_OR_FOLLOWER, -1), f"ListOffsets of {timestamp}: error {error}, offset {offset}"
    (error, named, _), _ = timed(wire.led)
    assert (error, named) == (LEADER_NOT_AVAILABLE, -1), f"Metadata: error {error}, leader {named}"


CASES = [leader_without_a_controller]
