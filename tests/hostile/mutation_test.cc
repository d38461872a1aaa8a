// Every decoder against good bytes gone bad: truncated, with single bits flipped, with extreme numbers in each place, and mutated in all
// kinds of ways; the same in every run.
#include <doctest/doctest.h>

#include <algorithm>
#include <set>

#include "tests/hostile/mutate.h"
#include "tests/hostile/target.h"

using namespace sg;
using namespace sg::hostile;

namespace {

constexpr uint64_t kSeed = 20'240'607;
constexpr size_t kMutations = 4000;       // of each target
constexpr size_t kMostTruncations = 400;  // of each input
constexpr size_t kMostFlips = 1600;
constexpr size_t kMostPlaces = 400;

struct Tally {
  size_t decoded = 0;
  size_t refused = 0;
  size_t decoded_sealed = 0;  // of those that are refused as they are

  void attack_with(const Target& target, ByteSpan bytes) {
    Verdict verdict = attack(target, bytes);
    if (!verdict.complaint.empty()) FAIL_CHECK(verdict.complaint);
    verdict.decoded ? ++decoded : ++refused;
    if (!target.seal) return;
    Verdict sealed = attack_sealed(target, bytes);
    if (!sealed.complaint.empty()) FAIL_CHECK(sealed.complaint);
    decoded_sealed += sealed.decoded && !verdict.decoded;
  }
};

// All of [0, size), or `most` of them.
template <class Visit>
void each_or_some(Rng& rng, size_t size, size_t most, Visit visit) {
  for (size_t i = 0; i < std::min(size, most); ++i) visit(size <= most ? i : rng.below(size));
}

void attack_all(const std::vector<Target>& targets) {
  const std::vector<ByteVec> donors = donors_of(targets);
  for (const Target& target : targets) {
    CAPTURE(target.name);
    REQUIRE_FALSE(target.corpus.empty());
    Rng rng = Rng(kSeed).split(target.name);
    Tally tally;
    for (const ByteVec& good : target.corpus) {
      Verdict verdict = attack(target, good);
      CHECK(verdict.decoded);
      CHECK(verdict.complaint == "");
      if (target.seal) {
        ByteVec sealed = good;
        target.seal(sealed);
        CHECK(sealed == good);
      }
      each_or_some(rng, good.size(), kMostTruncations, [&](size_t size) { tally.attack_with(target, ByteSpan(good).first(size)); });
      each_or_some(rng, good.size() * 8, kMostFlips, [&](size_t bit) {
        ByteVec bytes = good;
        bytes[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
        tally.attack_with(target, bytes);
      });
      each_or_some(rng, good.size(), kMostPlaces, [&](size_t place) {
        for (const ByteVec& field : extreme_fields()) {
          ByteVec bytes = good;
          std::copy_n(field.begin(), std::min(field.size(), good.size() - place), bytes.begin() + static_cast<ptrdiff_t>(place));
          tally.attack_with(target, bytes);
        }
      });
    }
    for (size_t i = 0; i < kMutations; ++i) tally.attack_with(target, mutate(rng, target.corpus[i % target.corpus.size()], donors));
    // Both sides of every decoder were reached, and what lies behind the checksums.
    CHECK(tally.decoded > 0);
    CHECK(tally.refused > 0);
    CHECK((!target.seal || tally.decoded_sealed > 0));
  }
}

}  // namespace

TEST_CASE("given Kafka messages gone bad, when they are decoded, then every decoder keeps its promises") { attack_all(kafka_targets()); }
TEST_CASE("given record batches gone bad, when they are decoded, then every decoder keeps its promises") { attack_all(batch_targets()); }
TEST_CASE("given peer frames and messages gone bad, when they are decoded, then every decoder keeps its promises") {
  attack_all(peer_targets());
}
TEST_CASE("given journal structures gone bad, when they are decoded, then every decoder keeps its promises") {
  attack_all(journal_targets());
}

TEST_CASE("given the same seed, when an input is mutated, then it is mutated in the same way, and in many ways") {
  const std::vector<ByteVec> donors = donors_of(peer_targets());
  std::set<ByteVec> seen;
  Rng one(1);
  Rng same(1);
  for (int i = 0; i < 1000; ++i) {
    ByteVec bytes = mutate(one, donors[0], donors);
    CHECK(bytes == mutate(same, donors[0], donors));
    seen.insert(bytes);
  }
  CHECK(seen.size() > 900);
}

// The checks themselves: decoders that break one promise each are found out.
TEST_CASE("given a decoder that allocates what a length claims: its attack ends in a complaint") {
  Target greedy{.name = "greedy", .corpus = {ByteVec{1, 0, 0, 0}}, .decode = [](const SharedBytes& bytes) {
                  Verdict verdict;
                  (void)within(1024, verdict, [&] { return ByteVec(bytes.size() < 4 ? 0 : load_le<uint32_t>(bytes.data()) & 0xffff); });
                  return verdict;
                }};
  CHECK(attack(greedy, greedy.corpus[0]).complaint == "");
  CHECK(attack(greedy, ByteVec{0, 8, 0, 0}).complaint == "allocates 2048 bytes, expected at most 1024; greedy, 4 bytes: 00080000");
}
