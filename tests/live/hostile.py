"""What the hostile cases are made of: sockets that are opened in numbers and held, and honest clients beside them whose every record is
counted. Nothing here depends on how fast the machine is: an attack is held until the honest clients have got so much further."""

import contextlib
import resource
import socket
import threading
import time

from clients import consumer, end_offset, producer
from cluster import wait_until

SPARE_DESCRIPTORS = 500  # of this process, beside the sockets of an attack


def may_open(count):
    """Whether this process may hold so many sockets; raises its soft limit if need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + SPARE_DESCRIPTORS
    if hard != resource.RLIM_INFINITY and hard < needed:
        return False
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return True


class Honest:
    """An idempotent producer, one record in flight, and a consumer of the same partition, each in a thread, on one node. They begin
    where the partition ends. Records have at least `bytes` bytes."""

    def __init__(self, bootstrap, topic):
        self.sent, self.acknowledged, self.read, self.failed = [], [], [], []
        self.bytes = 0
        self._stop = False
        self._read_until = None  # once the producer has ended
        self._first = end_offset(bootstrap, topic)
        self._threads = [threading.Thread(target=run, args=(bootstrap, topic), daemon=True) for run in (self._produce, self._consume)]
        for thread in self._threads:
            thread.start()

    def _produce(self, bootstrap, topic):
        client = producer(bootstrap, linger_ms=0, message_timeout_ms=60000)

        def delivered(error, message):
            if error:
                self.failed.append(error)
            else:
                self.acknowledged.append((message.offset(), message.value()))

        while not self._stop and not self.failed:
            self.sent.append(f"honest {len(self.sent):06} ".encode().ljust(self.bytes, b"h"))
            client.produce(topic, self.sent[-1], partition=0, on_delivery=delivered)
            while len(self.acknowledged) < len(self.sent) and not self.failed:
                client.poll(0.1)
            time.sleep(0.002)
        client.flush(60)
        self._read_until = time.monotonic() + 30

    def _consume(self, bootstrap, topic):
        client = consumer(bootstrap, topic, offset=self._first)
        while self._read_until is None or (len(self.read) < len(self.acknowledged) and time.monotonic() < self._read_until):
            m = client.poll(0.2)
            if m is not None and not m.error():
                self.read.append((m.offset(), m.value()))
        client.close()

    def progress(self, records=30, limit_s=40):
        """Waits until so many more records were acknowledged and read."""
        due = len(self.acknowledged) + records
        wait_until(f"{records} more records of the honest clients ({len(self.acknowledged)} written, {len(self.read)} read)",
                   lambda: self.failed or len(self.read) >= due, limit_s)
        assert not self.failed, f"the honest producer got an error: {self.failed[0]}"

    def finish(self):
        self._stop = True
        for thread in self._threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in self._threads), "the honest clients did not come to their end"
        assert not self.failed, f"the honest producer got an error: {self.failed[0]}"
        due = [(self._first + i, value) for i, value in enumerate(self.sent)]
        assert self.acknowledged == due, f"{len(self.acknowledged)} of {len(due)} records acknowledged, or not at offsets in order"
        assert self.read == due, f"{len(self.read)} of {len(due)} records read, or not the same"


@contextlib.contextmanager
def honest_clients(cluster, topic, node):
    """Around an attack on `node`: honest clients are served during it (call progress() while it is held), nothing of theirs is lost, and
    afterwards the node is the same process and has given back the descriptors that the attack took."""
    honest = Honest(cluster.bootstrap, topic)
    honest.progress()
    pid, before = node.process.pid, node.open_descriptors()
    yield honest
    honest.progress()
    assert node.running() and node.process.pid == pid, f"the node has died:\n{node.tail()}"
    # Honest clients may have reconnected: a few more or fewer are no leak.
    wait_until(f"the descriptors of the attack to be given back ({before} before)", lambda: node.open_descriptors() <= before + 10, 40)
    honest.finish()


class Sockets:
    """`with Sockets() as s:` holds what `s.open()` opens, and closes all of it at the end."""

    def __init__(self):
        self.open_ones = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self.open_ones:
            sock.close()

    def open(self, port, send=b"", receive_buffer=None):
        """A connected socket, that has sent as much of `send` as the other end took at once."""
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", port))
        self.open_ones.append(sock)
        sock.setblocking(False)
        send_some(sock, send)
        return sock

    def still_open(self):
        """How many the other end has not ended. Reads what there is to read."""
        return sum(1 for sock in self.open_ones if not has_ended(sock))


def send_some(sock, data):
    """Without waiting: how much the other end took; all of it if it has gone."""
    try:
        return sock.send(data) if data else 0
    except BlockingIOError:
        return 0
    except OSError:
        return len(data)


def has_ended(sock):
    try:
        while True:
            if not sock.recv(65536):
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def send_to_all(sockets, data, idle_limit_s=2):
    """To each socket all of `data`, in turns, until everything is sent or nobody takes anything for a while. The bytes that were sent."""
    left = {sock: memoryview(data) for sock in sockets}
    total, last = 0, time.monotonic()
    while left and time.monotonic() - last < idle_limit_s:
        for sock in list(left):
            sent = send_some(sock, left[sock][: 1 << 18])
            if sent:
                total, last = total + sent, time.monotonic()
                left[sock] = left[sock][sent:]
                if not left[sock]:
                    del left[sock]
    return total
