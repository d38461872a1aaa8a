#include "broker/kafka/gather.h"

#include "broker/kafka/records.h"

namespace sg::kafka {

void Gather::append(SharedBytes piece) {
  if (piece.empty()) return;
  shared_bytes_ += piece.size();
  shared_.push_back({bytes_.size(), std::move(piece)});
}

void Gather::patch_be32(size_t at, int32_t value) {
  ENSURE(at + 4 <= bytes_.size(), "patch at {} of {}", at, bytes_.size());
  store_be<int32_t>(bytes_.data() + at, value);
}

std::vector<SharedBytes> Gather::finish() && {
  std::vector<SharedBytes> runs;
  runs.reserve(2 * shared_.size() + 1);
  SharedBytes written = SharedBytes::copy_of(bytes_);
  size_t from = 0;
  auto run_to = [&](size_t to) {
    if (to > from) runs.push_back(written.slice(from, to - from));
    from = to;
  };
  for (Shared& shared : shared_) {
    run_to(shared.at);
    runs.push_back(std::move(shared.piece));
  }
  run_to(bytes_.size());
  return runs;
}

ByteVec Gather::flatten() const {
  ByteVec flat;
  flat.reserve(size());
  auto from = bytes_.begin();
  for (const Shared& shared : shared_) {
    auto to = bytes_.begin() + static_cast<ptrdiff_t>(shared.at);
    flat.insert(flat.end(), from, to);
    flat.insert(flat.end(), shared.piece.data(), shared.piece.data() + shared.piece.size());
    from = to;
  }
  flat.insert(flat.end(), from, bytes_.end());
  return flat;
}

bool Records::operator==(const Records& other) const {
  if (size() != other.size()) return false;
  auto flat = [](const Records& records) {
    Gather all;
    for (const SharedBytes& piece : records.pieces) all.append(piece);
    return all.flatten();
  };
  return flat(*this) == flat(other);
}

}  // namespace sg::kafka
