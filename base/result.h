// Errors are values. A function that can fail returns Result<T>; TRY unwraps or passes the error on.
// Exceptions stay inside the wrapper around a library that throws, in main, and in test frameworks.
// A bug is not an error: it hits ENSURE (base/ensure.h).
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace sg {

// What a caller may want to tell apart. Kafka's error codes are a different thing (broker/kafka/errors.h).
enum class Errc : uint8_t {
  stopped,      // the task or its node is being stopped: return by ordinary means, promise nothing more
  timeout,      // the deadline passed first; what was asked for may still happen
  closed,       // this end was closed, or the peer closed in an orderly way
  reset,        // the connection broke
  refused,      // nobody listens there
  not_found,    // no such file, topic, entry
  exists,       // it is there already
  invalid,      // the input breaks its contract or format
  corrupt,      // stored or received bytes fail their checksum or identity
  no_space,     // the disk or the journal's budget is full
  io,           // the device failed; after a failed write or sync nothing may be promised any more
  busy,         // locked or in use by somebody else; or a queue is full
  stale,        // an epoch, incarnation or position is not the current one
  unavailable,  // cannot be served now; retry later
  too_large,    // exceeds a cap
  unsupported,  // known, and not offered here
};

std::string_view to_string(Errc code);

// `what` is for a person: what was expected, what was found, where, what to do.
struct Error {
  Errc code;
  std::string what;
};

inline std::unexpected<Error> fail(Errc code, std::string what = {}) { return std::unexpected<Error>(Error{code, std::move(what)}); }

template <class T = void>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Errc code() const { return this->error().code; }
  bool is(Errc code) const { return !this->has_value() && this->error().code == code; }
};

}  // namespace sg

#define SG_CONCAT_(a, b) a##b
#define SG_CONCAT(a, b) SG_CONCAT_(a, b)
#define SG_TRY_(tmp, var, expr)                                          \
  auto tmp = (expr);                                                     \
  if (!tmp) return std::unexpected<::sg::Error>(std::move(tmp).error()); \
  var = std::move(*tmp)

// TRY(auto x, f());  assigns the value of f() to x, or returns its error from the enclosing function.
#define TRY(var, expr) SG_TRY_(SG_CONCAT(sg_try_, __LINE__), var, expr)

// TRY_DO(f());  for a Result<void>, or a value that is not needed.
#define TRY_DO(expr)                                                                                   \
  do {                                                                                                 \
    if (auto sg_try = (expr); !sg_try) return std::unexpected<::sg::Error>(std::move(sg_try).error()); \
  } while (0)
