// The limit on open files: raised as far as the system lets this process, and told as it is.
#include "net/descriptor_limit.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <algorithm>

TEST_CASE("given a low limit on descriptors, when it is raised, then it is what the system allows, within reason") {
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit low = before;
  low.rlim_cur = std::min<rlim_t>(before.rlim_cur, 200);
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);

  const size_t raised = sg::net::raise_descriptor_limit();
  rlimit after{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &after) == 0);
  CHECK(raised == after.rlim_cur);
  CHECK(raised == std::min<rlim_t>(before.rlim_max, 65'536));
  CHECK(sg::net::raise_descriptor_limit() == raised);

  REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
}
