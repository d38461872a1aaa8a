#include "broker/wal/identity.h"

#include "base/crc32c.h"

namespace sg::wal {
namespace {

constexpr uint32_t kMagic = 0x44494353;  // "SCID"
constexpr uint32_t kVersion = 1;

}  // namespace

ByteVec encode_identity(const Identity& identity) {
  ByteVec out;
  ByteWriter w(out);
  w.le(kMagic);
  w.le(kVersion);
  w.le(identity.node_id.v);
  w.le(identity.directory_id.high);
  w.le(identity.directory_id.low);
  w.le(identity.cluster_id.high);
  w.le(identity.cluster_id.low);
  w.le(crc32c(out));
  ENSURE(out.size() == kIdentityBytes, "{} bytes", out.size());
  return out;
}

Result<Identity> decode_identity(ByteSpan bytes) {
  if (bytes.size() != kIdentityBytes || load_le<uint32_t>(bytes.data()) != kMagic ||
      load_le<uint32_t>(bytes.data() + kIdentityBytes - 4) != crc32c(bytes.first(kIdentityBytes - 4)))
    return fail(Errc::corrupt, "the journal's identity file is damaged; restore it, or start this node with an empty directory");
  ByteReader r(bytes);
  r.bytes(4);
  if (auto version = r.le<uint32_t>(); version != kVersion)
    return fail(Errc::invalid, fmt::format("the journal's identity file has version {}; this program knows {}", version, kVersion));
  Identity identity;
  identity.node_id = NodeId(r.le<int32_t>());
  identity.directory_id.high = r.le<uint64_t>();
  identity.directory_id.low = r.le<uint64_t>();
  identity.cluster_id.high = r.le<uint64_t>();
  identity.cluster_id.low = r.le<uint64_t>();
  return identity;
}

Result<std::optional<Identity>> read_identity(Task& task, disk::Disk& disk, const std::string& directory) {
  auto file = disk.open(task, directory + "/identity", disk::OpenMode::read_only);
  if (file.is(Errc::not_found)) return std::optional<Identity>();
  if (!file) return std::unexpected(file.error());
  ByteVec bytes(kIdentityBytes + 1);  // one more, to see a file that is too long
  TRY(size_t size, (*file)->read(task, 0, bytes));
  TRY(auto identity, decode_identity(ByteSpan(bytes).first(size)));
  return std::optional<Identity>(identity);
}

Result<> write_identity(Task& task, disk::Disk& disk, const std::string& directory, const Identity& identity) {
  std::string path = directory + "/identity";
  {
    TRY(auto file, disk.open(task, path + ".new", disk::OpenMode::create));
    ByteVec bytes = encode_identity(identity);
    TRY_DO(file->truncate(task, 0));
    TRY_DO(file->write(task, 0, bytes, disk::Durability::buffered));
    TRY_DO(file->sync(task));
  }
  TRY_DO(disk.rename(task, path + ".new", path));
  return disk.sync_directory(task, directory);
}

}  // namespace sg::wal
