"""Who votes, on real processes: replaced disks, wrong and missing lists of voters, a cluster that is not to be formed."""

import glob
import os
import shutil
import signal
import subprocess

from clients import consume, create, expect, produce, values
from cluster import wait_until
from directory_cases import command


def without(command, flag, takes_value):
    at = command.index(flag)
    return command[:at] + command[at + (2 if takes_value else 1):]


def said(node, text):
    return [x for x in node.log_lines() if text in x]


def acknowledged(c, topic, first, last):
    assert all(e is None for _, _, e in produce(c, topic, values(first, last)))


def replaced_disk_votes_again(env):
    """One of three loses its disk and comes back; then another dies. Without the new voter there would be no majority."""
    with env.cluster() as c:
        create(c, "kept", 3)
        c.wait_in_sync("kept", 3)
        acknowledged(c, "kept", 0, 50)
        third = c.node(3)
        third.end(signal.SIGKILL)
        shutil.rmtree(third.data)
        third.start()
        c.wait_in_sync("kept", 3)
        wait_until("the new voter in its place", lambda: any(said(n, 'reason="proposes voters 1,2,3"') for n in c.nodes), 30)
        other = next(n for n in c.nodes[:2] if n.node_id != c.leader("kept"))
        other.end(signal.SIGKILL)
        c.leader("kept")
        acknowledged(c, "kept", 50, 100)
        expect(consume(c, "kept", 100), values(0, 100))


def list_of_voters_that_contradicts(env):
    with env.cluster() as c:
        create(c, "kept", 3)
        c.wait_in_sync("kept", 3)
        acknowledged(c, "kept", 0, 20)
        third = c.node(3)
        third.end(signal.SIGTERM)
        right = third.command
        wrong = list(right)
        wrong[wrong.index("--voters") + 1] = f"3@127.0.0.1:{third.peer}"
        out = subprocess.run(wrong, capture_output=True, timeout=30, check=False)
        lines = [x for x in out.stderr.decode().splitlines() if x.startswith("stormglassd: ")]
        assert out.returncode == 2 and len(lines) == 1, f"code {out.returncode}: {out.stderr.decode()[-800:]}"
        assert "--voters names the nodes 3, the voters of this directory's cluster are 1,2,3" in lines[0], lines[0]
        # Without a list it finds its peers by its own log, and is a member like before.
        third.command = without(right, "--voters", True)
        third.start()
        c.wait_in_sync("kept", 3)
        acknowledged(c, "kept", 20, 40)
        expect(consume(c, "kept", 40), values(0, 40))


def empty_directory_that_is_not_to_form(env):
    """Two are told to form a cluster, the third is not: nothing is formed, and each says why. Then it is told."""
    c = env.cluster()
    third = c.node(3)
    right = third.command
    third.command = without(right, "--form", False)
    with c:
        wait_until("the reason", lambda: any(said(n, "nodes 3 are empty and were started without --form") for n in c.nodes[:2]))
        assert said(third, "was not told to form a new cluster"), third.tail()
        assert not any(said(n, "is formed: voters") for n in c.nodes)
        third.end(signal.SIGTERM)
        third.command = right
        third.start()
        create(c, "kept", 3)
        c.wait_in_sync("kept", 3)
        acknowledged(c, "kept", 0, 20)


def spoil(node, text):
    """Flips a bit wherever this text stands in the journal of a stopped node."""
    found = 0
    for path in glob.glob(os.path.join(node.data, "journal", "*.seg")):
        with open(path, "r+b") as file:
            data = bytearray(file.read())
            at = data.find(text)
            while at >= 0:
                data[at] ^= 1
                found += 1
                at = data.find(text, at + 1)
            file.seek(0)
            file.write(data)
    assert found, f"{text} is nowhere in the journal"


def damage_accepted_by_the_operator(env):
    """The only voter lacks an entry of its metadata: it does not lead until the operator accepts that."""
    with env.cluster(nodes=1) as c:
        node = c.nodes[0]
        create(c, "kept", 1)
        acknowledged(c, "kept", 0, 20)
        create(c, "forgotten", 1)
        acknowledged(c, "forgotten", 0, 20)
        node.end(signal.SIGKILL)
        assert "there is nothing to accept" in command(env, "accept-damage", node.data, code=2)
        spoil(node, b"forgotten")
        node.start()
        wait_until("the reason", lambda: said(node, "does_not_lead"))
        assert f"stormglassd accept-damage {node.data}" in said(node, "does_not_lead")[0], node.tail()
        assert "in use by another process" in command(env, "accept-damage", node.data, code=2)
        node.end(signal.SIGTERM)
        text = command(env, "accept-damage", node.data, code=0)
        assert "with the topics kept\n" in text and "lost: 1 partitions of topics that are not known any more" in text, text
        node.start()
        c.leader("kept")
        expect(consume(c, "kept", 20), values(0, 20))
        create(c, "forgotten", 1)
        acknowledged(c, "forgotten", 100, 120)
        expect(consume(c, "forgotten", 20), values(100, 120))
        acknowledged(c, "kept", 20, 40)
        node.end(signal.SIGKILL)
        node.start()
        c.leader("kept")
        expect(consume(c, "kept", 40), values(0, 40))
        node.end(signal.SIGTERM)
        assert "there is nothing to accept" in command(env, "accept-damage", node.data, code=2)


def damage_of_one_of_several(env):
    """It is no operator's to accept: it comes back as another voter by itself."""
    with env.cluster() as c:
        create(c, "kept", 3)
        c.wait_in_sync("kept", 3)
        acknowledged(c, "kept", 0, 20)
        create(c, "spoiled", 3)
        acknowledged(c, "spoiled", 0, 20)
        third = c.node(3)
        third.end(signal.SIGKILL)
        spoil(third, b"spoiled")
        assert "has the nodes 1,2 as well" in command(env, "accept-damage", third.data, code=2)
        third.start()
        wait_until("the new voter in its place", lambda: any(said(n, 'reason="proposes voters 1,2,3"') for n in c.nodes), 30)
        expect(consume(c, "kept", 20), values(0, 20))


CASES = [replaced_disk_votes_again, list_of_voters_that_contradicts, empty_directory_that_is_not_to_form, damage_accepted_by_the_operator,
         damage_of_one_of_several]
