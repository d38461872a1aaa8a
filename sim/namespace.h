// The names of a simulated disk: which path leads to which file now, and which would after a power cut.
//
// Invariant: a change of names is durable only once its directory was synced; until then a power cut keeps or loses each change on its
// own. A rename is one change: both names or none. A file whose directory was never made durable is lost with it.
// Directories are entries without a file. Spec: correctness.md part 1, 1; disk/disk.h.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/rng.h"
#include "sim/inode.h"

namespace sg::sim {

enum class NameChange : uint8_t { create, remove, rename, make_directory };
std::string_view to_string(NameChange change);

using InodeRef = std::shared_ptr<Inode>;  // null = a directory

class Namespace {
 public:
  using Names = std::map<std::string, InodeRef, std::less<>>;

  Namespace() = default;
  // All of them durable.
  explicit Namespace(Names names) : now_(names), durable_(std::move(names)) {}

  // Everywhere: Errc::invalid for a path that is not plain ("a//b", "../a").
  // Errc::not_found; Errc::invalid for a directory.
  Result<InodeRef> find(std::string_view path) const;
  bool is_directory(std::string_view path) const;
  // Errc::not_found when the directory it should lie in is not there.
  Result<> create(std::string_view path, InodeRef inode);
  Result<InodeRef> remove(std::string_view path);
  Result<InodeRef> rename(std::string_view from, std::string_view to);
  Result<> make_directory(std::string_view path);
  Result<std::vector<std::string>> list(std::string_view path) const;

  // Makes the changes in one directory durable; returns how many there were.  Errc::not_found.
  Result<size_t> sync(std::string_view directory);
  // As sync, but only of changes among the first `changes` ever made: those that were there when the sync began.
  Result<size_t> sync_before(std::string_view directory, uint64_t changes);
  uint64_t changes() const { return changes_; }
  size_t pending() const { return pending_.size(); }

  // Would this path lead to this file after a power cut, whatever is kept or lost?
  bool survives(std::string_view path, const Inode* inode) const;

  // Keeps or loses each pending change; afterwards now = durable.
  void cut(Rng& rng);

  const Names& now() const { return now_; }

 private:
  struct Change {
    NameChange kind;
    std::string from;  // the path; of a rename the old one
    std::string to;    // of a rename the new one
    InodeRef inode;
    uint64_t number = 0;
    bool touches(const Change& other) const {
      return from == other.from || to == other.from || (other.kind == NameChange::rename && (from == other.to || to == other.to));
    }
  };
  // Errc::invalid: not a plain path below the data directory.
  static Result<> check(std::string_view path);
  static std::string_view parent(std::string_view path);
  Result<> check_parent(std::string_view path) const;
  void change(Change change);
  static void apply(Names& names, const Change& change);
  static void drop_orphans(Names& names);

  Names now_;
  Names durable_;
  std::vector<Change> pending_;
  uint64_t changes_ = 0;
};

}  // namespace sg::sim
