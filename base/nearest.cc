#include "base/nearest.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace sg {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1])});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view text, const std::vector<std::string_view>& names) {
  auto best = std::min_element(names.begin(), names.end(),
                               [&](std::string_view a, std::string_view b) { return edit_distance(text, a) < edit_distance(text, b); });
  return best == names.end() ? std::string_view() : *best;
}

}  // namespace sg
