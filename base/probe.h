// REACHED("name") marks a rare path. A campaign reports which probes were never reached: a path that no run takes is a path
// that no check covers. Put it in .cc files only, at places that are worth a name; it costs one increment.
#pragma once

#include <cstdint>
#include <span>

namespace sg {

struct Probe {
  const char* name;
  uint64_t hits;
};

// All probes that are linked into this program, in link order. Hits may be reset by whoever runs a campaign.
std::span<Probe> probes();

// False while a dead simulated node is being unwound: what it passes then does not count.
extern bool g_probes_enabled;

}  // namespace sg

#define REACHED(text)                                                                    \
  do {                                                                                   \
    static ::sg::Probe sg_probe __attribute__((section("sg_probes"), used)) = {text, 0}; \
    if (::sg::g_probes_enabled) ++sg_probe.hits;                                         \
  } while (0)
