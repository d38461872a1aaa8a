#include "base/probe.h"

// The linker defines these two around the section that REACHED fills.
extern sg::Probe __start_sg_probes[] __attribute__((weak, visibility("hidden")));
extern sg::Probe __stop_sg_probes[] __attribute__((weak, visibility("hidden")));

namespace sg {

bool g_probes_enabled = true;

std::span<Probe> probes() {
  if (!__start_sg_probes) return {};
  return {__start_sg_probes, __stop_sg_probes};
}

}  // namespace sg
