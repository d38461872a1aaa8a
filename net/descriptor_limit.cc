#include "net/descriptor_limit.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/ensure.h"

namespace sg::net {
namespace {

constexpr rlim_t kMost = 65'536;

}  // namespace

size_t raise_descriptor_limit() {
  rlimit limit{};
  ENSURE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  rlimit raised = limit;
  raised.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kMost));  // RLIM_INFINITY is the greatest number
  if (raised.rlim_cur != limit.rlim_cur && ::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return static_cast<size_t>(limit.rlim_cur);
}

}  // namespace sg::net
