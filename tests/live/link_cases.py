"""Links between nodes that fall silent without ending: through proxies that forget their connections, as a firewall does, and by nodes that
stand still. Who is cut off is back at once; nobody is taken for dead."""

import contextlib
import select
import signal
import socket
import threading
import time

from clients import create, produce, values
from cluster import free_port, wait_until

BACK_S = 3  # a dial every 0.2 s, a greeting, a session, a proposal; and the machine may be busy


class Proxy:
    """Passes on what comes to a free port of its own. After forget() the connections that exist stay open and carry nothing any more; while
    `dark`, new ones fare likewise."""

    def __init__(self, target):
        self.target, self.port, self.dark = target, free_port(), False
        self.pairs, self.forgotten = {}, []
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.lock, self.stopped = threading.Lock(), False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def forget(self):
        with self.lock:
            self.forgotten += self.pairs
            self.pairs = {}

    def accept(self):
        near, _ = self.listener.accept()
        if self.dark:
            self.forgotten.append(near)
            return
        try:
            far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
        except OSError:
            near.close()
            return
        self.pairs[near], self.pairs[far] = far, near

    def pass_on(self, source):
        try:
            data = source.recv(1 << 16)
            if data:
                self.pairs[source].sendall(data)
        except OSError:
            data = b""
        if not data:
            other = self.pairs.pop(source)
            self.pairs.pop(other, None)
            source.close()
            other.close()

    def run(self):
        while not self.stopped:
            with self.lock:
                sources = list(self.pairs)
            for source in select.select([self.listener, *sources], [], [], 0.02)[0]:
                with self.lock:
                    if source is self.listener:
                        self.accept()
                    elif source in self.pairs:
                        self.pass_on(source)

    def close(self):
        self.stopped = True
        self.thread.join()
        for s in [self.listener, *self.pairs, *self.forgotten]:
            s.close()


def count(node, *texts):
    return sum(all(t in line for t in texts) for line in node.log_lines())


def links_that_were_forgotten_are_dialed_again(env):
    """Nobody sends a reset, so without signs of life both ends would wait for ever."""
    proxies = []
    with contextlib.ExitStack() as stack:

        def through_proxy(port):
            proxies.append(Proxy(port))
            stack.callback(proxies[-1].close)
            return proxies[-1].port

        c = stack.enter_context(env.cluster(through=through_proxy))
        create(c, "quiet", 3)
        assert all(e is None for _, _, e in produce(c, "quiet", values(0, 50)))
        ups = [count(n, "link_up") for n in c.nodes]
        for proxy in proxies:
            proxy.dark = True
            proxy.forget()
        for n in c.nodes:
            wait_until(f"node {n.node_id} to notice that its links are silent", lambda n=n: count(n, "link_down", "nothing came") >= 2, 10)
            wait_until(f"node {n.node_id} to notice the silence of links it did not dial", lambda n=n: count(n, "link_silent") >= 2, 10)
        time.sleep(3)
        for proxy in proxies:
            proxy.dark = False
        healed = time.monotonic()
        wait_until("links both ways between all nodes", lambda: all(count(n, "link_up") >= u + 2 for n, u in zip(c.nodes, ups)), BACK_S)
        assert all(e is None for _, _, e in produce(c, "quiet", values(50, 100)))
        c.wait_in_sync("quiet", 3)
        assert time.monotonic() - healed < 2 * BACK_S, f"in sync only {time.monotonic() - healed:.1f} s after the healing"
        suspected = [line for n in c.nodes for line in n.log_lines() if " suspect node=" in line]
        assert not suspected, f"silence was taken for death: {suspected}"
        silent = [line for n in c.nodes for line in n.log_lines() if "role=pre-candidate" in line]
        assert any('not_heard="' in line and " ms" in line for line in silent), f"who is not heard is not named: {silent}"


def frozen_node_is_back_at_once(env):
    """Its listeners take connections all the time, and it finds its own deadlines passed when it goes on."""
    with env.cluster() as c:
        create(c, "frozen", 3)
        leader = c.leader("frozen")
        frozen = next(n for n in c.nodes if n.node_id != leader)
        frozen.process.send_signal(signal.SIGSTOP)
        try:
            # Until the others have closed their links with it, one that it dialed and one that they did each.
            for n in c.nodes:
                if n is not frozen:
                    wait_until(f"node {n.node_id} to notice the silence",
                               lambda n=n: count(n, "link_down", f"node={frozen.node_id}") >= 1, 10)
            wait_until("the ISR to shrink", lambda: len(c.partition("frozen")["isrs"]) == 2, 20)
        finally:
            frozen.process.send_signal(signal.SIGCONT)
        began = time.monotonic()
        c.wait_in_sync("frozen", 3)
        assert time.monotonic() - began < BACK_S, f"in sync only {time.monotonic() - began:.1f} s after it went on"
        assert not [line for line in frozen.log_lines() if "nothing came" in line], "it judged the others before it read what they had sent"


CASES = [links_that_were_forgotten_are_dialed_again, frozen_node_is_back_at_once]
