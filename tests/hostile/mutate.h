// Makes hostile input out of good input: flipped bits, truncations, lengths and counts that lie, stretches that are repeated, left
// out, or taken from elsewhere, and honest counts of very many very small elements. The same draws give the same bytes everywhere.
#pragma once

#include <span>
#include <vector>

#include "base/bytes.h"
#include "base/rng.h"

namespace sg::hostile {

// One to four mutations of `original`, one on top of the other; `donors` (at least one) are what is spliced in. The result is at most
// a hundred kilobytes longer.
ByteVec mutate(Rng& rng, ByteSpan original, std::span<const ByteVec> donors);

// The largest and smallest numbers as a length, count or position may be encoded: big- and little-endian, two to eight bytes, varint.
const std::vector<ByteVec>& extreme_fields();

}  // namespace sg::hostile
