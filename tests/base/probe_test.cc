// base/probe.h: a rare path counts when it is taken, and is known before it ever was.
#include "base/probe.h"

#include <doctest/doctest.h>

#include <string_view>

namespace {

using namespace sg;

void rare_path(bool taken) {
  if (taken) REACHED("test: rare path");
}

Probe* probe(std::string_view name) {
  for (Probe& p : probes())
    if (p.name == name) return &p;
  return nullptr;
}

TEST_CASE("probe: it is listed although nobody was there, and counts whoever was") {
  Probe* p = probe("test: rare path");
  REQUIRE(p);
  uint64_t before = p->hits;
  rare_path(false);
  CHECK(p->hits == before);
  rare_path(true);
  rare_path(true);
  CHECK(p->hits == before + 2);
}

TEST_CASE("probe: what a dead node passes while it is unwound does not count") {
  Probe* p = probe("test: rare path");
  REQUIRE(p);
  uint64_t before = p->hits;
  g_probes_enabled = false;
  rare_path(true);
  g_probes_enabled = true;
  CHECK(p->hits == before);
}

}  // namespace
