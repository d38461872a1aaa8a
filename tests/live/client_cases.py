"""Each client produces and consumes on three nodes, and every record is compared by content and offset; kafka-python also across a
leader that is killed."""

import signal
import subprocess
import threading
import time

import kafka_python
import kafkajs_client
from clients import consume, create, expect, expect_acknowledged, produce, producer, values
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient


def kcat_round_trip(env):
    with env.cluster() as c:
        create(c, "kcat", 3)
        lines = [f"line {i}" for i in range(200)]
        subprocess.run(["kcat", "-b", c.bootstrap, "-P", "-t", "kcat", "-X", "acks=all", "-X", "enable.idempotence=true"],
                       input="\n".join(lines).encode(), check=True, timeout=30, stderr=subprocess.DEVNULL)
        out = subprocess.run(["kcat", "-b", c.bootstrap, "-C", "-t", "kcat", "-e", "-q", "-o", "beginning", "-f", "%o %s\n"],
                             capture_output=True, check=True, timeout=30).stdout.decode().split("\n")[:-1]
        assert out == [f"{i} {line}" for i, line in enumerate(lines)], out[:5]


def confluent_round_trip(env):
    with env.cluster() as c:
        create(c, "confluent", 3)
        sent = values(0, 1000)
        done = produce(c, "confluent", sent)
        got = consume(c, "confluent", len(sent))
        expect(got, sent)
        expect_acknowledged(done, got)


def kafka_python_round_trip(env):
    with env.cluster() as c:
        create(c, "python", 3)
        sent = values(0, 1000)
        reader = kafka_python.Reader(c.bootstrap, "python")  # reads while the records come
        done = kafka_python.produce(c.bootstrap, "python", sent)
        got = reader.finish(len(sent))
        expect(got, sent)
        expect_acknowledged(done, got)
        expect(consume(c, "python", len(sent)), sent)


def kafka_python_and_a_killed_leader(env):
    """kafka-python has no idempotence: a batch whose answer died with the leader is sent again, and may stand twice. Nothing may be
    missing, out of order, or elsewhere than acknowledged; and what both consumers see is the same."""
    with env.cluster() as c:
        create(c, "python", 3)
        leader = c.leader("python")
        sent = values(0, 3000)
        reader = kafka_python.Reader(c.bootstrap, "python")
        some_are_in, killed = threading.Event(), threading.Event()

        def kill():
            some_are_in.wait(30)
            c.node(leader).end(signal.SIGKILL)
            killed.set()

        def in_two_parts():  # the kill falls into the first, with batches on their way
            yield from sent[:2000]
            killed.wait(30)
            yield from sent[2000:]

        killer = threading.Thread(target=kill)
        killer.start()
        done = kafka_python.produce(c.bootstrap, "python", in_two_parts(), batch_bytes=300,
                                    on_acknowledged=lambda count: some_are_in.set() if count >= 500 else None)
        killer.join()
        assert killed.is_set(), "the leader was not killed"
        assert c.leader("python", other_than=leader) != leader
        final = consume(c, "python", len(sent))
        expect_acknowledged(done, final)
        first_seen = list(dict.fromkeys(v for _, v in final))
        assert first_seen == sent, f"{len(first_seen)} different records in the log, {len(sent)} were sent in order"
        assert [o for o, _ in final] == list(range(len(final))), "offsets are not 0, 1, 2 ..."
        assert reader.finish(len(final)) == final, "the consumer that read across the kill saw something else than a later one"


def kafkajs_produces(env):
    kafkajs_client.install(env)
    with env.cluster() as c:
        c.wait_brokers(3)
        sent = values(0, 500)
        done = kafkajs_client.produce(env, c.bootstrap, "plain", sent, create_with_replicas=3)
        done_too = kafkajs_client.produce(env, c.bootstrap, "exact", sent, idempotent=True, create_with_replicas=3)
        for topic, acknowledged in (("plain", done), ("exact", done_too)):
            c.wait_in_sync(topic, 3)
            got = consume(c, topic, len(sent))
            expect(got, sent)
            expect_acknowledged(acknowledged, got)
        kafkajs_client.produce(env, c.bootstrap, "exact", values(500, 600), idempotent=True)
        reader = kafka_python.Reader(c.bootstrap, "exact")
        expect(reader.finish(600), values(0, 600))


def topic_made_again_under_a_producer(env):
    """An idempotent producer lives on: first with nothing under way, then with five batches under way while the topic goes and returns."""
    with env.cluster(settings=["broker.auto.create.topics.enable=false"]) as c:
        admin = AdminClient({"bootstrap.servers": c.bootstrap, "log_level": 0})
        create(c, "again", 3)
        fatal, done = [], []
        client = producer(c.bootstrap, topic_metadata_refresh_interval_ms=200, batch_num_messages=5, queue_buffering_max_ms=0,
                          error_cb=lambda e: fatal.append(str(e)) if e.fatal() else None)

        def send(numbers, flush=True):
            for value in numbers:
                try:
                    client.produce("again", value, partition=0, on_delivery=lambda e, m: done.append((m.value(), m.offset(), e)))
                except KafkaException:
                    pass  # it has noticed that there is no such topic now
                client.poll(0)
                time.sleep(0.002)
            return client.flush(40) if flush else None

        send(values(0, 20))
        admin.delete_topics(["again"])["again"].result(20)
        create(c, "again", 3)
        time.sleep(2)  # until the client has seen it
        done.clear()
        send(values(100, 120))
        assert not fatal and [e for _, _, e in done] == [None] * 20, f"fatal {fatal}, {done[:3]}"
        expect(consume(c, "again", 20), values(100, 120))

        send(values(200, 500), flush=False)
        admin.delete_topics(["again"])["again"].result(20)
        send(values(500, 800), flush=False)
        create(c, "again", 3)
        time.sleep(2)
        send(values(800, 1100))
        assert not fatal, fatal
        got = [v for _, v in consume(c, "again", 1)]
        assert got == sorted(set(got)), "doubled or out of order"
        assert got[-300:] == values(800, 1100), f"{len(got)} records, {got[:3]} ... {got[-3:]}"


CASES = [kcat_round_trip, confluent_round_trip, kafka_python_round_trip, kafka_python_and_a_killed_leader,
         topic_made_again_under_a_producer, kafkajs_produces]
