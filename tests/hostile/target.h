// The decoders under attack: every function that reads bytes which another program, a peer or a disk made. The mutation test and the
// fuzz targets work through the same list, so a decoder that is added here is attacked by both.
//
// What each must do with any bytes at all: end, read nothing outside them, allocate no more than a stated multiple of their number,
// and either refuse or give a value that is encoded and decoded again to the same value.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "tests/hostile/allocations.h"

namespace sg::hostile {

struct Verdict {
  bool decoded = false;
  std::string complaint;  // which of the promises is broken; empty: none

  void complain(std::string what) {
    if (complaint.empty()) complaint = std::move(what);
  }
};

struct Target {
  std::string name;
  std::vector<ByteVec> corpus;  // at least one; all of it decodes
  // Decodes the bytes, which fill their block exactly, and looks at everything that comes out.
  std::function<Verdict(const SharedBytes&)> decode;
  // Makes the checksums right, so that mutations reach what lies behind them; null where there are none.
  std::function<void(MutableByteSpan)> seal = nullptr;
};

// The four families; each is a fuzz target.
std::vector<Target> kafka_targets();    // requests, responses, their headers
std::vector<Target> batch_targets();    // record batches: from clients, from peers, in runs; single records
std::vector<Target> peer_targets();     // frames between nodes, every message in them, catalogue records and snapshots
std::vector<Target> journal_targets();  // commits, segment blocks, indexes, the identity file

struct Family {
  std::string_view name;
  std::vector<Target> (*targets)();
};
inline constexpr Family kFamilies[] = {
    {"kafka", &kafka_targets}, {"batches", &batch_targets}, {"peer", &peer_targets}, {"journal", &journal_targets}};

// All corpora of a family: what is spliced into any of its inputs.
std::vector<ByteVec> donors_of(const std::vector<Target>& targets);

// Lets the target decode a copy of `bytes` as they are. A complaint names target and input. Should the decoder not return, a failed
// ENSURE says which input it was.
Verdict attack(const Target& target, ByteSpan bytes);
// The same with the checksums made right; the target has some.
Verdict attack_sealed(const Target& target, ByteSpan bytes);

// --- For the targets --------------------------------------------------------------------------------------------------------------

// The result of `decode`, which complains if that takes more memory than `allowance`.
template <class Decode>
auto within(size_t allowance, Verdict& verdict, Decode decode) {
  uint64_t before = allocated_bytes();
  auto result = decode();
  uint64_t used = allocated_bytes() - before;
  if (used > allowance) verdict.complain(fmt::format("allocates {} bytes, expected at most {}", used, allowance));
  return result;
}

}  // namespace sg::hostile
