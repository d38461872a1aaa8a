// A libFuzzer target: one family of the decoders under attack (tests/hostile/target.h), named at compile time. An input is two bytes
// that choose the decoder, little-endian, and the bytes that it gets: as they are, and with their checksums made right.
//
// Beside libFuzzer's own arguments:  --write-corpus=DIR  writes the targets' good inputs into DIR and ends;
// --explain=FILE  says which decoder FILE is for and ends.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/hostile/mutate.h"
#include "tests/hostile/target.h"

using namespace sg;
using namespace sg::hostile;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

constexpr size_t kChoiceBytes = 2;

const std::vector<Target>& targets() {
  static const std::vector<Target> all = [] {
    for (const Family& family : kFamilies)
      if (family.name == SG_FUZZ_FAMILY) return family.targets();
    ENSURE(false, "no family {}", SG_FUZZ_FAMILY);
    return std::vector<Target>();
  }();
  return all;
}

const Target& chosen(ByteSpan input) { return targets()[load_le<uint16_t>(input.data()) % targets().size()]; }

void judge(const Verdict& verdict) { ENSURE(verdict.complaint.empty(), "{}", verdict.complaint); }

void write_corpus(const std::filesystem::path& directory) {
  for (size_t choice = 0; choice < targets().size(); ++choice)
    for (size_t i = 0; i < targets()[choice].corpus.size(); ++i) {
      ByteVec input;
      ByteWriter writer(input);
      writer.le(static_cast<uint16_t>(choice));
      writer.bytes(targets()[choice].corpus[i]);
      std::ofstream file(directory / fmt::format("{:03}-{}", choice, i), std::ios::binary);
      file.write(as_text(input).data(), static_cast<std::streamsize>(input.size()));
      ENSURE(file.good(), "cannot write into {}", directory.string());
    }
}

void explain(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::string input(std::istreambuf_iterator<char>(file), {});
  if (input.size() < kChoiceBytes)
    std::printf("no input\n");
  else
    std::printf("%s\n", chosen(as_bytes(input)).name.c_str());
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  constexpr std::string_view kWrite = "--write-corpus=";
  constexpr std::string_view kExplain = "--explain=";
  for (int i = 1; i < *argc; ++i) {
    std::string_view argument = (*argv)[i];
    bool writes = argument.starts_with(kWrite);
    if (!writes && !argument.starts_with(kExplain)) continue;
    writes ? write_corpus(argument.substr(kWrite.size())) : explain(argument.data() + kExplain.size());
    std::exit(0);
  }
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < kChoiceBytes) return -1;
  ByteSpan input(data, size);
  const Target& target = chosen(input);
  judge(attack(target, input.subspan(kChoiceBytes)));
  if (target.seal) judge(attack_sealed(target, input.subspan(kChoiceBytes)));
  return 0;
}

// A quarter of the time our own mutations of what they have made so far, a quarter of the good inputs again, so that these are not lost
// among their offspring; else libFuzzer's, mostly of what the decoder gets.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  static const std::vector<ByteVec> donors = donors_of(targets());
  Rng rng(seed);
  if (size < kChoiceBytes || rng.chance(1, 32)) return LLVMFuzzerMutate(data, size, max_size);
  uint8_t* rest = data + kChoiceBytes;
  ByteSpan original(rest, size - kChoiceBytes);
  switch (rng.below(4)) {
    case 0: break;
    case 1: {
      size_t choice = rng.below(targets().size());
      store_le(data, static_cast<uint16_t>(choice));
      original = targets()[choice].corpus[rng.below(targets()[choice].corpus.size())];
      break;
    }
    default: return kChoiceBytes + LLVMFuzzerMutate(rest, original.size(), max_size - kChoiceBytes);
  }
  ByteVec bytes = mutate(rng, original, donors);
  bytes.resize(std::min(bytes.size(), max_size - kChoiceBytes));
  std::copy(bytes.begin(), bytes.end(), rest);
  return kChoiceBytes + bytes.size();
}
