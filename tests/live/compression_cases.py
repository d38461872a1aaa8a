"""What a client compressed is stored as it came and comes back with equal contents, through every consumer. That the client did compress
is read from the stored batches: a client that silently does not would make these tests pass for nothing."""

import kafka_python
import kafkajs_client
from clients import consume, create, expect, expect_acknowledged, produce
from kafka_wire import CODECS, stored_batches

RECORDS = 400


def compressible(codec):
    return [f"{codec} record {i:04} ".encode() + b"the same words again and again, " * 10 for i in range(RECORDS)]


def check(cluster, topic, codec, sent, done):
    """`done` as produce() returned it. The log holds `sent`, in batches of this codec and no other, and both consumers read it."""
    got = consume(cluster, topic, len(sent))
    expect(got, sent)
    expect_acknowledged(done, got)
    expect(kafka_python.Reader(cluster.bootstrap, topic).finish(len(sent)), sent)
    batches = stored_batches(cluster.node(cluster.leader(topic)).kafka, topic)
    assert sum(b.records for b in batches) == len(sent), f"{topic}: the batches hold {sum(b.records for b in batches)} records"
    assert {b.codec for b in batches} == {codec}, f"{topic}: stored as {sorted({b.codec for b in batches})}, {codec} was asked for"
    share = sum(b.bytes for b in batches) / sum(len(v) for v in sent)
    assert share > 1 if codec == "none" else share < 0.8, f"{topic}: {codec} takes {share:.2f} of the values' bytes"


def five_codecs_through_confluent(env):
    with env.cluster() as c:
        for codec in CODECS:
            create(c, f"confluent-{codec}", 3)
            sent = compressible(codec)
            done = produce(c, f"confluent-{codec}", sent, compression_codec=codec, linger_ms=50)
            check(c, f"confluent-{codec}", codec, sent, done)


def five_codecs_through_kafka_python(env):
    with env.cluster() as c:
        for codec in CODECS:
            create(c, f"python-{codec}", 3)
            sent = compressible(codec)
            done = kafka_python.produce(c.bootstrap, f"python-{codec}", sent, codec=codec, batch_bytes=20_000)
            check(c, f"python-{codec}", codec, sent, done)


def three_codecs_through_kafkajs(env):
    kafkajs_client.install(env)
    with env.cluster() as c:
        for codec in kafkajs_client.CODECS:
            create(c, f"kafkajs-{codec}", 3)
            sent = compressible(codec)
            done = kafkajs_client.produce(env, c.bootstrap, f"kafkajs-{codec}", sent, codec=codec)
            check(c, f"kafkajs-{codec}", codec, sent, done)


CASES = [five_codecs_through_confluent, five_codecs_through_kafka_python, three_codecs_through_kafkajs]
