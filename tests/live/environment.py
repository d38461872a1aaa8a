"""What every case gets: where the binary and the build directory are. And how a case says that it cannot run here."""

import os

from cluster import ROOT, Cluster


class Skip(Exception):
    """Raised by a case that cannot run on this machine, with the reason. Shown, and never counted as passed."""


class Environment:
    def __init__(self, build):
        self.build = os.path.join(ROOT, build)  # an absolute one stays as it is
        self.binary = os.environ.get("STORMGLASSD", os.path.join(self.build, "stormglassd"))

    def cluster(self, nodes=3, **options):
        return Cluster(self.binary, nodes, **options)
