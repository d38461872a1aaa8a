// ENSURE(condition, "format", args...) states an invariant. It is always on, in every build: a broken invariant is a bug,
// and a process that goes on after one can only make it worse. It prints what and where to standard error and aborts.
#pragma once

#include <fmt/format.h>

#include <string>

namespace sg {

[[noreturn]] void ensure_failed(const char* file, int line, const char* condition, const std::string& message);

// Called with the text of a failed ENSURE before the abort; the simulator uses it to say which run and which node failed.
// Returns the previous hook.
using EnsureHook = void (*)(const std::string& text);
EnsureHook set_ensure_hook(EnsureHook hook);

}  // namespace sg

#define ENSURE(condition, ...)                                                            \
  do {                                                                                    \
    if (!(condition)) [[unlikely]]                                                        \
      ::sg::ensure_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (0)
