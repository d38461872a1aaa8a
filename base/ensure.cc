#include "base/ensure.h"

#include <cstdio>
#include <cstdlib>

namespace sg {
namespace {
EnsureHook g_hook = nullptr;
}

EnsureHook set_ensure_hook(EnsureHook hook) {
  EnsureHook old = g_hook;
  g_hook = hook;
  return old;
}

void ensure_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::string text = fmt::format("{}:{}: ENSURE({}) failed{}{}", file, line, condition, message.empty() ? "" : ": ", message);
  std::fprintf(stderr, "%s\n", text.c_str());
  std::fflush(stderr);
  if (EnsureHook hook = g_hook) {
    g_hook = nullptr;  // a failure inside the hook must not recurse
    hook(text);
  }
  std::abort();
}

}  // namespace sg
