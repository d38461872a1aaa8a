// The identity's format; the file is in identity_file.cc.
#include "broker/wal/identity.h"

#include <algorithm>

#include "base/crc32c.h"

namespace sg::wal {
namespace {

constexpr uint32_t kMagic = 0x44494353;  // "SCID"
constexpr uint32_t kOldVersion = 1;
constexpr uint32_t kVersion = 2;
constexpr size_t kCrcAt = 12;
constexpr uint32_t kAnswered = 1;

static_assert(128 + Identity::kMaxFormer * 16 + DamageList::kMaxEntries * 40 <= kIdentitySlotBytes);

uint32_t crc_without(ByteSpan bytes, size_t at) { return crc32c(bytes.subspan(at + 4), crc32c(bytes.first(at))); }

void put_uuid(ByteWriter& w, const Uuid& id) {
  w.le(id.high);
  w.le(id.low);
}

Uuid get_uuid(ByteReader& r) {
  Uuid id;
  id.high = r.le<uint64_t>();
  id.low = r.le<uint64_t>();
  return id;
}

std::unexpected<Error> damaged() {
  return fail(Errc::corrupt, "the journal's identity file is damaged; restore it, or start this node with an empty directory");
}

std::unexpected<Error> unknown_version(uint32_t version) {
  return fail(Errc::invalid,
              fmt::format("the journal's identity file has version {}; this program knows {} and {}", version, kOldVersion, kVersion));
}

// Anything that encode would not have written fails.
DamageList get_damage(ByteReader& r, uint32_t count) {
  std::vector<KnownDamage> entries;
  for (uint32_t i = 0; i < count && r.ok(); ++i) {
    KnownDamage k;
    k.what.stream = StreamId(r.le<int64_t>());
    k.what.generation = r.le<uint64_t>();
    k.what.first = r.le<int64_t>();
    k.what.next = r.le<int64_t>();
    auto flags = r.le<uint32_t>();
    k.answered = (flags & kAnswered) != 0;
    bool valid = r.le<uint32_t>() == 0 && flags <= kAnswered && k.what.first < k.what.next && k.what.stream >= kEveryStream &&
                 (entries.empty() || entries.back().what < k.what);
    if (!valid) r.fail();
    entries.push_back(k);
  }
  return DamageList(std::move(entries));
}

}  // namespace

bool Identity::owns(const Uuid& directory) const {
  return directory == directory_id || std::ranges::find(former, directory) != former.end();
}

bool Identity::is_home(const disk::FileInfo& lock) const {
  if (lock_inode == 0) return true;  // written by a program that did not look
  if (lock.inode != lock_inode) return false;
  return lock.birth_ns == 0 || lock_birth_ns == 0 || lock.birth_ns == lock_birth_ns;
}

void Identity::settle_in(const disk::FileInfo& lock) {
  lock_inode = lock.inode;
  lock_birth_ns = lock.birth_ns;
}

ByteVec encode_identity_slot(const IdentitySlot& slot) {
  const Identity& id = slot.identity;
  ENSURE(id.former.size() <= Identity::kMaxFormer && id.damage.entries().size() <= DamageList::kMaxEntries);
  ByteVec out;
  out.reserve(kIdentitySlotBytes);
  ByteWriter w(out);
  w.le(kMagic);
  w.le(kVersion);
  w.le(id.node_id.v);
  w.le(uint32_t{0});
  w.le(slot.sequence);
  put_uuid(w, id.directory_id);
  put_uuid(w, id.cluster_id);
  w.le(id.voter_id.v);
  w.le(id.voter_since.v);
  w.le(id.counter.v);
  w.le(id.nonce);
  w.le(id.newest_segment);
  w.le(id.lock_inode);
  w.le(id.lock_birth_ns);
  w.le(static_cast<uint32_t>(id.former.size()));
  w.le(static_cast<uint32_t>(id.damage.entries().size()));
  for (const Uuid& directory : id.former) put_uuid(w, directory);
  for (const KnownDamage& k : id.damage.entries()) {
    w.le(k.what.stream.v);
    w.le(k.what.generation);
    w.le(k.what.first);
    w.le(k.what.next);
    w.le(k.answered ? kAnswered : 0);
    w.le(uint32_t{0});
  }
  out.resize(kIdentitySlotBytes);
  store_le(out.data() + kCrcAt, crc_without(out, kCrcAt));
  return out;
}

Result<IdentitySlot> decode_identity_slot(ByteSpan bytes) {
  if (bytes.size() != kIdentitySlotBytes || load_le<uint32_t>(bytes.data()) != kMagic ||
      load_le<uint32_t>(bytes.data() + kCrcAt) != crc_without(bytes, kCrcAt))
    return damaged();
  ByteReader r(bytes);
  r.bytes(4);
  if (auto version = r.le<uint32_t>(); version != kVersion) return unknown_version(version);
  IdentitySlot slot;
  Identity& id = slot.identity;
  id.node_id = NodeId(r.le<int32_t>());
  r.bytes(4);
  slot.sequence = r.le<uint64_t>();
  id.directory_id = get_uuid(r);
  id.cluster_id = get_uuid(r);
  id.voter_id = VoterId(r.le<uint64_t>());
  id.voter_since = Incarnation(r.le<uint64_t>());
  id.counter = Incarnation(r.le<uint64_t>());
  id.nonce = r.le<uint64_t>();
  id.newest_segment = r.le<uint64_t>();
  id.lock_inode = r.le<uint64_t>();
  id.lock_birth_ns = r.le<int64_t>();
  auto formers = r.le<uint32_t>();
  auto damages = r.le<uint32_t>();
  if (formers > Identity::kMaxFormer || damages > DamageList::kMaxEntries) return damaged();
  for (uint32_t i = 0; i < formers; ++i) id.former.push_back(get_uuid(r));
  id.damage = get_damage(r, damages);
  if (!r.ok() || !std::ranges::all_of(r.rest(), [](uint8_t b) { return b == 0; })) return damaged();
  return slot;
}

Result<Identity> decode_old_identity(ByteSpan bytes) {
  if (bytes.size() != kOldIdentityBytes || load_le<uint32_t>(bytes.data()) != kMagic ||
      load_le<uint32_t>(bytes.data() + kOldIdentityBytes - 4) != crc32c(bytes.first(kOldIdentityBytes - 4)))
    return damaged();
  ByteReader r(bytes);
  r.bytes(4);
  if (auto version = r.le<uint32_t>(); version != kOldVersion) return unknown_version(version);
  Identity identity;
  identity.node_id = NodeId(r.le<int32_t>());
  identity.directory_id = get_uuid(r);
  identity.cluster_id = get_uuid(r);
  return identity;
}

}  // namespace sg::wal
