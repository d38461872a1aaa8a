// Which links are refused, and why, so that it is said once and not at each of twenty attempts a second: a line is worth writing when
// the reason is new for that peer, and once more when it is over.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace sg::broker::peer {

class Refusals {
 public:
  // True if this peer was not refused for this reason the last time.
  bool refused(const std::string& peer, const std::string& reason) {
    if (!last_.contains(peer) && last_.size() >= kMostPeers) last_.erase(last_.begin());
    auto& [why, count] = last_[peer];
    ++count;
    if (why == reason) return false;
    why = reason;
    return true;
  }
  // It was taken. How often it was refused before, if it was.
  std::optional<uint64_t> taken(const std::string& peer) {
    auto it = last_.find(peer);
    if (it == last_.end()) return std::nullopt;
    const uint64_t count = it->second.second;
    last_.erase(it);
    return count;
  }

 private:
  static constexpr size_t kMostPeers = 64;  // names are whatever the peers say
  std::map<std::string, std::pair<std::string, uint64_t>> last_;
};

}  // namespace sg::broker::peer
