// Whose directory this is: a small file that is made once, and written again (beside, then renamed) when the cluster becomes known.
// An unreadable identity is fatal: a node that forgot who it was must not vote as if it were new.
#pragma once

#include <optional>
#include <string>

#include "base/ids.h"
#include "base/rng.h"
#include "disk/disk.h"

namespace sg::wal {

struct Identity {
  NodeId node_id;
  Uuid directory_id;
  Uuid cluster_id;  // zero: not known yet
  bool operator==(const Identity&) const = default;
};

inline constexpr size_t kIdentityBytes = 48;
ByteVec encode_identity(const Identity& identity);
// Errc::corrupt.
Result<Identity> decode_identity(ByteSpan bytes);

// Errc::corrupt; nothing if the file is not there.
Result<std::optional<Identity>> read_identity(Task& task, disk::Disk& disk, const std::string& directory);
// Durable, name and all, when it returns.
Result<> write_identity(Task& task, disk::Disk& disk, const std::string& directory, const Identity& identity);

}  // namespace sg::wal
