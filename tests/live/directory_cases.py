"""Data directories that are copied, restored, adopted, inspected, or lose a file: what is refused and said, and what is still there."""

import glob
import os
import shutil
import signal
import subprocess

from clients import consume, create, expect, produce, values
from cluster import wait_until


def command(env, *arguments, code):
    out = subprocess.run([env.binary, *arguments], capture_output=True, timeout=30, check=False)
    text = out.stdout.decode() + out.stderr.decode()
    assert out.returncode == code, f"{' '.join(arguments)}: code {out.returncode}, expected {code}:\n{text[-800:]}"
    return text


def refusal(node):
    """The one line with which the node refuses to start, with exit code 2."""
    out = subprocess.run(node.command, capture_output=True, timeout=30, check=False)
    lines = [x for x in out.stderr.decode().splitlines() if x.startswith("stormglassd: ")]
    assert out.returncode == 2 and len(lines) == 1, f"code {out.returncode}: {out.stderr.decode()[-800:]}"
    return lines[0]


def replace_by_copy(node):
    """As an operator does who moves the directory to another disk: the same bytes, other files."""
    shutil.copytree(node.data, node.data + ".copy")
    shutil.rmtree(node.data)
    os.rename(node.data + ".copy", node.data)


def facts(env, node, code=0):
    """What inspect prints, by the first word of its lines."""
    lines = command(env, "inspect", node.data, code=code).splitlines()
    return {word: [x for x in lines if x.split()[0] == word] for word in {x.split()[0] for x in lines if x.split()}}


def copied_directory(env):
    with env.cluster(nodes=1) as c:
        node = c.nodes[0]
        create(c, "kept", 1)
        assert all(e is None for _, _, e in produce(c, "kept", values(0, 50)))
        assert "in use by another process" in command(env, "adopt", node.data, code=2)
        assert "in use by another process" in command(env, "inspect", node.data, code=2)
        node.end(signal.SIGKILL)
        before = facts(env, node)
        replace_by_copy(node)
        line = refusal(node)
        assert f"{node.data} is a copy or a restored backup" in line and f"stormglassd adopt {node.data} --moved" in line, line
        assert "copy" in str(facts(env, node)), "inspect does not say that it is a copy"
        assert "the same directory" in command(env, "adopt", node.data, "--moved", code=0)
        after = facts(env, node)
        assert (after["directory"], after["voter"]) == (before["directory"], before["voter"]), f"{before} became {after}"
        node.start()
        c.leader("kept")
        expect(consume(c, "kept", 50), values(0, 50))
        assert "not the data directory of a node" in command(env, "adopt", c.directory, code=2)


def copy_check_switched_off(env):
    with env.cluster(nodes=1, settings=["journal.copy_check=false"]) as c:
        node = c.nodes[0]
        create(c, "kept", 1)
        assert all(e is None for _, _, e in produce(c, "kept", values(0, 20)))
        node.end(signal.SIGKILL)
        replace_by_copy(node)
        node.start()
        c.leader("kept")
        expect(consume(c, "kept", 20), values(0, 20))


def adopted_anew(env):
    with env.cluster(nodes=1) as c:
        node = c.nodes[0]
        create(c, "kept", 1)
        assert all(e is None for _, _, e in produce(c, "kept", values(0, 20)))
        node.end(signal.SIGKILL)
        before = facts(env, node)
        replace_by_copy(node)
        assert "a new directory" in command(env, "adopt", node.data, code=0)
        after = facts(env, node)
        assert after["directory"] != before["directory"] and after["voter"] != before["voter"], f"{before} became {after}"
        assert after["made"] == ["made from " + before["directory"][0]], after["made"]
        assert after["stream"] == before["stream"], "the former directory's segments are not read"


def restored_identity(env):
    """A part of a backup in a directory that has gone on since."""
    with env.cluster(nodes=1) as c:
        node = c.nodes[0]
        identity = os.path.join(node.data, "journal", "identity")
        with open(identity, "rb") as file:
            old = file.read()
        for _ in range(2):
            node.end(signal.SIGKILL)
            node.start()
        node.end(signal.SIGKILL)
        with open(identity, "r+b") as file:
            file.write(old)
        for _ in range(3):
            assert "the identity file is older than the journal beside it" in refusal(node)


def file_of_a_running_node_removed(env):
    with env.cluster() as c:
        create(c, "kept", 3)
        assert all(e is None for _, _, e in produce(c, "kept", values(0, 50)))
        node = c.nodes[0]
        for path in glob.glob(os.path.join(node.data, "journal", "*.seg")):
            os.remove(path)
        wait_until("the node to miss its files", lambda: not node.running(), limit_s=10)
        assert node.process.wait() == 3
        assert any("is gone while this node runs" in line for line in node.log_lines()), node.tail()
        node.process.stdout.close()
        node.start()
        wait_until("damage to be reported", lambda: any("every stream of this node counts as damaged" in x for x in node.log_lines()))
        node.end(signal.SIGKILL)
        assert any("every stream" in x for x in facts(env, node)["damage"])
        c.leader("kept", other_than=node.node_id)
        expect(consume(c, "kept", 50), values(0, 50))


CASES = [copied_directory, copy_check_switched_off, adopted_anew, restored_identity, file_of_a_running_node_removed]
