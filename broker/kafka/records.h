// The `records` field of a message: whole record batches one behind the other, opaque to the codec, in one or more shared pieces.
#pragma once

#include <vector>

#include "base/bytes.h"

namespace sg::kafka {

struct Records {
  std::vector<SharedBytes> pieces;

  size_t size() const {
    size_t sum = 0;
    for (const SharedBytes& piece : pieces) sum += piece.size();
    return sum;
  }
  // Equal bytes, however they are cut into pieces.
  bool operator==(const Records& other) const;
};

}  // namespace sg::kafka
