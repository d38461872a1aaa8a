#include "tests/hostile/target.h"

#include <cstdio>

namespace sg::hostile {
namespace {

constexpr size_t kShownBytes = 2048;

std::string shown(const Target& target, ByteSpan bytes) {
  bool all = bytes.size() <= kShownBytes;
  return fmt::format("{}, {} bytes: {}{}", target.name, bytes.size(), to_hex(all ? bytes : bytes.first(kShownBytes)), all ? "" : "...");
}

// The attack that is going on, for the hook, which has no argument to find it by.
const Target* attacked = nullptr;
ByteSpan attacked_with;

void tell_attack(const std::string&) { std::fprintf(stderr, "while decoding %s\n", shown(*attacked, attacked_with).c_str()); }

}  // namespace

std::vector<ByteVec> donors_of(const std::vector<Target>& targets) {
  std::vector<ByteVec> donors;
  for (const Target& target : targets) donors.insert(donors.end(), target.corpus.begin(), target.corpus.end());
  return donors;
}

Verdict attack(const Target& target, ByteSpan bytes) {
  attacked = &target;
  attacked_with = bytes;
  EnsureHook outer = set_ensure_hook(&tell_attack);
  Verdict verdict = target.decode(SharedBytes::copy_of(bytes));
  set_ensure_hook(outer);
  if (!verdict.complaint.empty()) verdict.complaint += "; " + shown(target, bytes);
  return verdict;
}

Verdict attack_sealed(const Target& target, ByteSpan bytes) {
  ByteVec sealed(bytes.begin(), bytes.end());
  target.seal(sealed);
  return attack(target, sealed);
}

}  // namespace sg::hostile
