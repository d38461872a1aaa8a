// base/ensure.h: a broken invariant says what and where, tells the hook, and ends the process.
#include "base/ensure.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/base/death.h"

namespace {

using namespace sg;
using sg::test::death_of;

TEST_CASE("ensure: a condition that holds costs nothing and evaluates once") {
  int evaluations = 0;
  ENSURE(++evaluations == 1, "{}", evaluations);
  CHECK(evaluations == 1);
}

TEST_CASE("ensure: a broken one names file, condition and message, and aborts") {
  std::string text = death_of([] { ENSURE(1 + 1 == 3, "found {}", 2); });
  CHECK(text.find("ensure_test.cc:") != std::string::npos);
  CHECK(text.find("ENSURE(1 + 1 == 3) failed: found 2") != std::string::npos);
}

TEST_CASE("ensure: the hook sees the text before the abort, once even if it fails itself") {
  std::string text = death_of([] {
    set_ensure_hook([](const std::string& what) {
      std::string line = "HOOK " + what + "\n";
      (void)!::write(STDERR_FILENO, line.data(), line.size());
      ENSURE(false, "inside the hook");
    });
    ENSURE(false, "outer");
  });
  CHECK(text.find("HOOK ") != std::string::npos);
  CHECK(text.find("inside the hook") != std::string::npos);
  CHECK(text.find("HOOK ", text.find("HOOK ") + 1) == std::string::npos);
}

TEST_CASE("ensure: code that ends by itself did not die") {
  CHECK(death_of([] {}).empty());
}

}  // namespace
