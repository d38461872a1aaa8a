// The precompiled header of the large libraries: headers that most files include anyway and that are slow to parse.
// Never included by hand: each file names what it uses, and the build without it (`make clang`) proves that.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>
