"""The Kafka protocol by hand, as far as the tests need it: requests as bytes, and a Fetch that shows the batches as they are stored.
Integers are big-endian. Only versions whose encoding is not flexible: fields follow each other, nothing is optional."""

import socket
import struct

PRODUCE, FETCH, LIST_OFFSETS, METADATA, API_VERSIONS = 0, 1, 2, 3, 18
CODECS = ("none", "gzip", "snappy", "lz4", "zstd")  # the lowest three bits of a batch's attributes


def string(text):
    return struct.pack(">h", len(text)) + text.encode()


def frame(body):
    return struct.pack(">i", len(body)) + body


def request(api, version, body=b"", correlation=1, client="raw"):
    """A whole frame."""
    return frame(struct.pack(">hhi", api, version, correlation) + string(client) + body)


def api_versions():
    return request(API_VERSIONS, 0)


def metadata():
    """Version 1, of all topics."""
    return request(METADATA, 1, struct.pack(">i", -1))


def fetch_request(topic, offset, partition=0, max_bytes=50 << 20, max_wait_ms=0, min_bytes=0, correlation=1):
    """Version 4."""
    body = struct.pack(">iiiibi", -1, max_wait_ms, min_bytes, max_bytes, 0, 1) + string(topic)
    body += struct.pack(">iiqi", 1, partition, offset, max_bytes)
    return request(FETCH, 4, body, correlation)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def one_record_batch(value):
    """Format 2, of no producer: one record without a key. Lengths are zig-zag varints; these fit one byte."""
    assert len(value) < 40
    record = bytes([0, 0, 0, 1, 2 * len(value)]) + value + b"\0"  # attributes, two deltas, no key, the value, no headers
    record = bytes([2 * len(record)]) + record
    covered = struct.pack(">hiqqqhii", 0, 0, 1_000, 1_000, -1, -1, -1, 1) + record
    tail = struct.pack(">ibI", -1, 2, crc32c(covered)) + covered
    return struct.pack(">qi", 0, len(tail)) + tail


def produced(port, topic, acks, value=b"by hand", timeout_ms=30_000):
    """The error code that Produce (version 3) of one record to partition 0 is answered with."""
    batch = one_record_batch(value)
    body = struct.pack(">hhii", -1, acks, timeout_ms, 1) + string(topic) + struct.pack(">iii", 1, 0, len(batch)) + batch
    with connect(port, timeout=40) as sock:
        sock.sendall(request(PRODUCE, 3, body))
        return struct.unpack(">h", receive_frame(sock)[4 + 4 + 2 + len(topic) + 4 + 4 :][:2])[0]


def fetched(port, topic, offset, epoch=-1, max_wait_ms=20_000):
    """(error code, high watermark, bytes of records) of a Fetch (version 9) from partition 0 that names `epoch` as the current one."""
    body = struct.pack(">iiiibiii", -1, max_wait_ms, 1, 50 << 20, 0, 0, -1, 1) + string(topic)
    body += struct.pack(">iiiqqii", 1, 0, epoch, offset, -1, 50 << 20, 0)
    with connect(port, timeout=40) as sock:
        sock.sendall(request(FETCH, 9, body))
        answer = receive_frame(sock)[4 + 4 + 2 + 4 + 4 + 2 + len(topic) + 4 :]
    _, error, high_watermark, _, _, aborted = struct.unpack(">ihqqqi", answer[:34])
    at = 34 + 16 * max(0, aborted)
    return error, high_watermark, struct.unpack(">i", answer[at : at + 4])[0]


def listed(port, topic, timestamp):
    """(error code, offset) of a ListOffsets (version 4) of partition 0."""
    body = struct.pack(">ibi", -1, 0, 1) + string(topic) + struct.pack(">iiiq", 1, 0, -1, timestamp)
    with connect(port, timeout=40) as sock:
        sock.sendall(request(LIST_OFFSETS, 4, body))
        answer = receive_frame(sock)[4 + 4 + 4 + 2 + len(topic) + 4 :]
    _, error, _, offset = struct.unpack(">ihqq", answer[:22])
    return error, offset


def led(port, topic):
    """(error code, leader, leader epoch) of partition 0 by Metadata (version 7)."""
    with connect(port, timeout=40) as sock:
        sock.sendall(request(METADATA, 7, struct.pack(">i", 1) + string(topic) + b"\0"))
        answer = receive_frame(sock)
    at = answer.index(string(topic)) + 2 + len(topic) + 1 + 4  # the name, is_internal, the number of partitions
    error, _, leader, epoch = struct.unpack(">hiii", answer[at : at + 14])
    return error, leader, epoch


def receive_exactly(sock, count):
    data = bytearray()
    while len(data) < count:
        part = sock.recv(min(1 << 20, count - len(data)))
        if not part:
            raise ConnectionError(f"the connection ended after {len(data)} of {count} bytes")
        data += part
    return bytes(data)


def receive_frame(sock):
    """The body of the next response, its correlation id included."""
    return receive_exactly(sock, struct.unpack(">i", receive_exactly(sock, 4))[0])


def connect(port, timeout=10, receive_buffer=None):
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(timeout)
    sock.connect(("127.0.0.1", port))
    return sock


class StoredBatch:
    """One record batch, format 2, as it came."""

    def __init__(self, data):
        self.base_offset, self.bytes = struct.unpack(">qi", data[:12])
        self.bytes += 12
        assert data[16] == 2, f"a batch of magic {data[16]}"
        self.codec = CODECS[struct.unpack(">h", data[21:23])[0] & 7]
        self.records = struct.unpack(">i", data[57:61])[0]


def stored_batches(port, topic, partition=0):
    """All batches of a partition, read from its leader, which listens on `port`."""
    batches, offset = [], 0
    with connect(port) as sock:
        while True:
            sock.sendall(fetch_request(topic, offset, partition))
            body = receive_frame(sock)
            at = 4 + 4 + 4 + 2 + len(topic) + 4  # correlation, throttle, one topic and its name, one partition
            _, error, high_watermark, _, aborted = struct.unpack(">ihqqi", body[at : at + 26])
            assert error == 0, f"Fetch of {topic} at {offset} was answered with error {error}"
            at += 26 + 16 * max(0, aborted)
            records = body[at + 4 : at + 4 + struct.unpack(">i", body[at : at + 4])[0]]
            while records:
                batches.append(StoredBatch(records))
                offset = batches[-1].base_offset + batches[-1].records
                records = records[batches[-1].bytes :]
            if offset >= high_watermark:
                return batches
