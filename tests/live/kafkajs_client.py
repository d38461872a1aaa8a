"""kafkajs (tests/live/kafkajs): installed from its lock file into the build directory, run with Node.js. Raises Skip where that is not
possible: Node.js is not a required package, and a machine may have no way to the npm registry. kafkajs consumes in groups only, so what it
produces is read back by other clients."""

import hashlib
import json
import os
import shutil
import subprocess

from environment import Skip

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kafkajs")
CODECS = ("none", "gzip", "snappy")  # what kafkajs and kafkajs-snappy have without compiling anything


_refused = {}  # build directory -> why kafkajs cannot be installed there: found out once per run


def install(env):
    """The directory with node_modules. Done once per build directory and lock file."""
    if env.build not in _refused:
        try:
            return _install(env)
        except Skip as e:
            _refused[env.build] = str(e)
    raise Skip(_refused[env.build])


def _install(env):
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            raise Skip(f"{tool} is not installed")
    with open(os.path.join(SOURCE, "package-lock.json"), "rb") as lock:
        wanted = hashlib.sha256(lock.read()).hexdigest()
    target = os.path.join(env.build, "live-kafkajs")
    stamp = os.path.join(target, "installed")
    if os.path.exists(stamp) and open(stamp, encoding="ascii").read() == wanted:
        return target
    shutil.rmtree(target, ignore_errors=True)
    os.makedirs(target)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(SOURCE, name), target)
    command = ["npm", "ci", "--prefix", target, "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
               "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000"]
    try:
        out = subprocess.run(command, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Skip("npm ci did not end within 60 s: is the npm registry reachable?") from None
    if out.returncode != 0:
        reason = [line for line in out.stderr.decode(errors="replace").splitlines() if line.startswith(("npm error", "npm ERR!"))]
        raise Skip(f"npm ci failed, so kafkajs is not there: {reason[0] if reason else f'exit code {out.returncode}'}")
    with open(stamp, "w", encoding="ascii") as file:
        file.write(wanted)
    return target


def produce(env, bootstrap, topic, values, idempotent=False, codec="none", batch=50, create_with_replicas=0):
    """[(value, offset, None)] in the order of sending; an AssertionError with kafkajs's own words if anything failed."""
    modules = os.path.join(install(env), "node_modules")
    options = {"brokers": bootstrap.split(","), "topic": topic, "values": [v.decode() for v in values], "batch": batch,
               "idempotent": idempotent, "codec": codec, "createWithReplicas": create_with_replicas}
    out = subprocess.run(["node", os.path.join(SOURCE, "produce.js")], input=json.dumps(options).encode(), capture_output=True, timeout=60,
                         check=False, env={**os.environ, "NODE_PATH": modules, "KAFKAJS_NO_PARTITIONER_WARNING": "1"})
    assert out.returncode == 0, f"kafkajs: {out.stderr.decode(errors='replace').strip()[-1000:]}"
    return [(value.encode(), offset, None) for value, offset in json.loads(out.stdout)]
