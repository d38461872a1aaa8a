#include "base/result.h"

namespace sg {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::stopped: return "stopped";
    case Errc::timeout: return "timeout";
    case Errc::closed: return "closed";
    case Errc::reset: return "reset";
    case Errc::refused: return "refused";
    case Errc::not_found: return "not_found";
    case Errc::exists: return "exists";
    case Errc::invalid: return "invalid";
    case Errc::corrupt: return "corrupt";
    case Errc::no_space: return "no_space";
    case Errc::io: return "io";
    case Errc::busy: return "busy";
    case Errc::stale: return "stale";
    case Errc::unavailable: return "unavailable";
    case Errc::too_large: return "too_large";
    case Errc::unsupported: return "unsupported";
  }
  return "?";
}

}  // namespace sg
